"""The programs, requests and commands of the published service's readme work unchanged.

Programs and requests use the readme's development server and its tokens; only addresses are
substituted. Builds and changes happen in a copy of the checkout.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from pylon_devnet.population import hotkey
from tests.support.product import product_readme as readme
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.free_ports import free_ports
from tests.support.product.product import Product
from tests.support.product.service_process import service_process

ROOT = Path(__file__).parents[3]
NATS_PASSWORD = "of-the-bridge-beside-the-product"
ONE_TEST = "def test_name() -> None:\n    pass\n\n\ndef test_another() -> None:\n    pass\n"
IMPORT_APP = "import sys; sys.modules['fastapi'] = None; import pylon_client.service.main"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def environment(**more: str) -> dict[str, str]:
    """Return the variables of a shell in which the environment of these tests is active."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("PYLON_")}
    return {**inherited, "PATH": path, **more}


async def run(folder: Path, line: str, **more: str) -> str:
    """Run a line in a shell in a folder, and return its output; it must exit with code 0."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", line),
        cwd=folder,
        env=environment(**more),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder for files of the checkout, which hold the public tokens of the devnet.

    In pytest's folders, the search for secrets would report them.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def checkout() -> Generator[Path]:
    """Copy the checkout, with two small tests instead of the project's."""
    with tempfile.TemporaryDirectory() as folder:
        yield _copied_to(Path(folder))


def _copied_to(copy: Path) -> Path:
    for name in ("pylon", "pylon_client", "bridge", "pylon_devnet", "distributions"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "noxfile.py", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("bench", "scripts", "tests"):
        (copy / name).mkdir()
    (copy / "tests" / "test_chosen.py").write_text(ONE_TEST)
    return copy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    """Start the development server with the readme's commands, and yield its address."""
    settings = {"PYLON_NATS_BRIDGE_PASSWORD": NATS_PASSWORD}
    async with Product(tmp_path_factory.mktemp("product"), settings=settings) as product:
        await run(checkout, readme.COPY_SETTINGS)
        (port,) = free_ports(1)
        served = environment(
            PYLON_NATS_URL=product.nats_url,
            PYLON_NATS_BRIDGE_PASSWORD=NATS_PASSWORD,
            PYLON_OPEN_ACCESS_TOKEN="my_open_access_token",
            PYLON_ID_SN1_TOKEN="my_secret_token",
            PYLON_METRICS_TOKEN="your-secure-metrics-token",
        )
        argv = readme.SERVER.replace("8000", str(port)).split()
        async with (
            service_process(argv, tmp_path_factory.mktemp("server"), served, cwd=checkout),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):

            async def is_ready() -> bool:
                try:
                    return (await http.get("/health/ready")).is_success
                except httpx.TransportError:
                    return False

            await comes_true(is_ready)
            yield f"127.0.0.1:{port}"


def on_this_machine(code: str, address: str) -> str:
    """Return the code with the server's address, and with hotkeys of neurons instead of `5C…`."""
    code = code.replace("localhost:8000", address)
    code = code.replace('"my_token"', '"my_open_access_token"')
    return code.replace("5C...", hotkey(1, 64)).replace("5D...", hotkey(1, 65))


@pytest.mark.parametrize("program", readme.PROGRAMS)
async def test_a_program_of_the_readme_runs(program: str, address: str, tmp_path: Path) -> None:
    code = on_this_machine(readme.PROGRAMS[program], address)
    (tmp_path / "program.py").write_text(code)
    printed = await run(tmp_path, "python -W error program.py")
    assert bool(printed.strip()) is ("print(" in code)


async def test_curl_gets_the_neurons(address: str, tmp_path: Path) -> None:
    line = on_this_machine(readme.CURL_NEURONS, address).replace("curl ", "curl -sf ")
    assert '"neurons"' in await run(tmp_path, line)


async def test_curl_gets_the_metrics_of_http(address: str, tmp_path: Path) -> None:
    await run(tmp_path, on_this_machine(readme.CURL_NEURONS, address).replace("curl ", "curl -sf "))
    page = await run(
        tmp_path, on_this_machine(readme.CURL_METRICS, address).replace("curl ", "curl -sf ")
    )
    for name in readme.HTTP_METRICS:
        assert f"\n{name}" in page
    counted = next(line for line in page.splitlines() if line.startswith("pylon_requests_total{"))
    for label in ("method", "path", "status_code", "app_name"):
        assert f'{label}="' in counted


async def test_the_pages_that_the_readme_names_exist(address: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http:
        assert (await http.get("/schema/swagger")).status_code == 200
        document = (await http.get("/schema/openapi.json")).json()
    for prefix in ("/api/v1/subnet/{netuid}/", "/api/v1/identity/{identity_name}/subnet/{netuid}/"):
        assert any(path.startswith(prefix) for path in document["paths"])


@pytest.mark.parametrize("line", readme.CHECKS)
async def test_a_check_of_the_readme_runs(line: str, checkout: Path) -> None:
    printed = await run(checkout, line, CI="1")
    assert "successful" in printed
    assert "-k" not in line or "1 passed" in printed


async def test_uv_resolves_the_development_requirements(checkout: Path) -> None:
    """Only resolve: an installation takes minutes without a cache."""
    try:
        printed = await run(checkout, f"{readme.SYNC} --dry-run")
    except AssertionError as error:
        if "Failed to fetch" in str(error) or "error sending request" in str(error):
            pytest.skip(f"uv does not reach a package index: {str(error)[:200]}")
        raise
    assert "nox" in printed
    assert "pytest" in printed


async def test_pip_installs_the_client_by_its_name_from_the_wheel(
    checkout: Path, folder: Path
) -> None:
    build = f"python -m hatchling build --target wheel --directory {folder}/dist"
    await run(checkout / "distributions" / "client", build)
    # A folder of wheels takes the place of an index, as docs/client.md says.
    only_wheels = {"PIP_FIND_LINKS": str(folder / "dist"), "PIP_NO_INDEX": "1"}
    installed = folder / "installed"
    await run(
        folder, readme.INSTALL_CLIENT, PIP_NO_DEPS="1", PIP_TARGET=str(installed), **only_wheels
    )
    where = await run(
        installed, 'python -c "import pylon_client.v1; print(pylon_client.v1.__file__)"'
    )
    assert where.strip() == str(installed / "pylon_client" / "v1" / "__init__.py")
    assert (installed / "pylon_client/service/envs/test_env.template").exists()
    assert not [name for name in ("pylon", "bridge", "pylon_devnet") if (installed / name).exists()]


async def test_a_client_without_the_service_names_the_missing_extra(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"ImportError: .*pylon-client\[service\]"):
        await run(tmp_path, f'python -c "{IMPORT_APP}"')
