"""`make run` sets up `.venv` with a Python that is new enough, even where an attempt failed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FIT_PYTHON = """#!/bin/sh
# A Python whose version is right, and whose venv has such a Python, pip and pylon.
echo "$(basename "$0") $*" >> calls
case "$*" in
    "-m venv"*)
        rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python
        printf '#!/bin/sh\\necho started $*\\n' > .venv/bin/pylon; chmod +x .venv/bin/pylon;;
    "-m pip install"*)
        [ -e no-network ] && exit 1
        printf '#!/bin/sh\\n' > .venv/bin/uv; chmod +x .venv/bin/uv;;
esac
"""
OLD_PYTHON = "#!/bin/sh\nexit 1\n"


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    for locked in (ROOT / "requirements").glob("*.txt"):
        (tmp_path / "requirements" / locked.name).touch()
    for project in (tmp_path, tmp_path / "distributions" / "client"):
        project.mkdir(parents=True, exist_ok=True)
        (project / "pyproject.toml").touch()
    executable(tmp_path / "python3.11", FIT_PYTHON)
    executable(tmp_path / "python3.10", OLD_PYTHON)
    return tmp_path


def make_run(clone: Path, python: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(clone)}
    argv = ["make", "run", f"PYTHON=./{python}"]
    return subprocess.run(
        argv, cwd=clone, env=environment, capture_output=True, text=True, check=False
    )


def calls(clone: Path) -> str:
    return (clone / "calls").read_text() if (clone / "calls").exists() else ""


def test_an_older_python_is_refused_before_anything_is_made(clone: Path) -> None:
    ended = make_run(clone, "python3.10")
    assert ended.returncode != 0
    assert "Pylon needs Python 3.11 or later, and ./python3.10 is not" in ended.stderr
    assert not (clone / ".venv").exists()
    assert "started" in make_run(clone, "python3.11").stdout


def test_a_venv_of_an_older_python_is_made_again(clone: Path) -> None:
    executable(clone / ".venv" / "bin" / "python", OLD_PYTHON)
    executable(clone / ".venv" / "bin" / "uv", "#!/bin/sh\n")
    (clone / ".venv" / ".service").touch()
    assert "started up --devnet" in make_run(clone, "python3.11").stdout
    assert "-m venv --clear .venv" in calls(clone)


def test_one_that_was_left_half_made_is_made_again(clone: Path) -> None:
    (clone / "no-network").touch()
    assert make_run(clone, "python3.11").returncode != 0
    (clone / "no-network").unlink()
    assert "started" in make_run(clone, "python3.11").stdout
    assert calls(clone).count("-m venv --clear .venv") == 2


def test_one_that_is_whole_is_left_alone_whatever_python_is_named(clone: Path) -> None:
    assert "started" in make_run(clone, "python3.11").stdout
    assert "started" in make_run(clone, "python3.10").stdout
    assert calls(clone).count("-m venv") == 1
