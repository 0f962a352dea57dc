"""Two distributions are built from the repository: the client alone, and the service."""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts import version
from tests.unit.repository.packages import ROOT

CLIENT = ROOT / "distributions" / "client"


def build(project: Path, folder: Path, target: str) -> Path:
    """Build a wheel or a source distribution of a project in a folder, and return its path."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (built,) = folder.iterdir()
    return built


def error_of(code: str) -> str:
    """Return the last line that a failing program writes to stderr."""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    return ended.stderr.splitlines()[-1]


@pytest.mark.integration  # builds of both distributions, in other processes
@pytest.mark.parametrize(
    ("project", "packages"),
    [(CLIENT, {"pylon_client"}), (ROOT, {"pylon", "bridge", "pylon_devnet"})],
    ids=["client", "service"],
)
def test_a_wheel_holds_exactly_its_packages(
    project: Path, packages: set[str], tmp_path: Path
) -> None:
    with ZipFile(build(project, tmp_path, "wheel")) as wheel:
        built = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert built == {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.integration  # the same
def test_the_source_distribution_of_the_client_builds_the_same_wheel(tmp_path: Path) -> None:
    wheel = build(CLIENT, tmp_path / "wheel", "wheel")
    source = build(CLIENT, tmp_path / "source", "sdist")
    # The template of settings holds the devnet's public tokens, which must not be in a folder of
    # pytest's: they would be taken for tokens that the product has written.
    with tarfile.open(source) as archive, tempfile.TemporaryDirectory() as folder:
        assert all(member.isreg() for member in archive)
        archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        again = build(unpacked, tmp_path / "again", "wheel")
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.integration  # the same
def test_the_source_distribution_of_the_service_holds_only_its_own(tmp_path: Path) -> None:
    with tarfile.open(build(ROOT, tmp_path, "sdist")) as archive:
        names = {member.name.split("/")[1] for member in archive}
    project = {"pyproject.toml", "PKG-INFO", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore"}
    assert names == {"pylon", "bridge", "pylon_devnet"} | project


def test_every_file_states_the_version_of_the_service() -> None:
    for path, text in version.texts().items():
        is_current = path.read_text() == text
        assert is_current, f"{path.name} is out of date: run `nox -s documents` and commit it"


def test_both_distributions_have_the_same_licence() -> None:
    assert (CLIENT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.integration  # another process
def test_the_app_names_the_extra_that_installs_the_service() -> None:
    error = error_of("import sys; sys.modules['bridge'] = None; import pylon_client.service.main")
    assert error.startswith("ImportError: the REST service needs the module 'bridge")
    assert error.endswith("which is not installed: pip install 'pylon-client[service]'")


@pytest.mark.integration  # the same
def test_the_devnet_names_the_extra_that_installs_it() -> None:
    without = "import sys; sys.modules['bittensor_core'] = None; "
    for use in ("from pylon_devnet import Devnet", "import pylon_devnet; pylon_devnet.Devnet"):
        assert error_of(without + use) == (
            "ImportError: the devnet needs bittensor_core, of `pip install 'pylon-service[devnet]'`"
        )
