"""Separate environments for third-party packages, whose pins differ from ours.

Each has a hash-locked file in `tests/compat/requirements/` and is stored in `.nox`, like the
environments of nox, until that file changes.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LOCKS = ROOT / "tests" / "compat" / "requirements"
ENVIRONMENTS = ROOT / ".nox"


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found, "uv is not installed"
    return found


def python_with(name: str) -> Path:
    """Return the interpreter of the environment that `requirements/<name>.txt` locks."""
    lock = LOCKS / f"{name}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = ENVIRONMENTS / f"{name}-{digest}"
    python = folder / "bin" / "python"
    ENVIRONMENTS.mkdir(exist_ok=True)
    # Tests run in several processes: the first one creates the environment.
    with (ENVIRONMENTS / f"{name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            uv = [_uv(), "--quiet", "--no-config"]
            subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
            install = ["pip", "install", "--python", str(python), "--require-hashes", "-r"]
            subprocess.run([*uv, *install, str(lock)], check=True)
            (folder / "complete").touch()
    return python
