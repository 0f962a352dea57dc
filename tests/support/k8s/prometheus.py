"""`promtool` and `prometheus`, from the PATH or from Debian's package `prometheus`.

The package is downloaded and unpacked without being installed, once, below the environment of the
tests. If neither is possible, the tests that need them are skipped with the reason.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "prometheus"
DOWNLOAD_TIMEOUT_S = 300


def prometheus_binary(name: str) -> str:
    """Return the path of `promtool` or `prometheus`; skip the test if it is missing."""
    found = shutil.which(name)
    if found is not None:
        return found
    folder, why_not = _unpacked()
    if folder is None:
        pytest.skip(f"{name} is not installed, and Debian's package {PACKAGE} {why_not}")
    return str(folder / "usr" / "bin" / name)


@cache
def _unpacked() -> tuple[Path | None, str]:
    """Return the folder of the unpacked package, or the reason why it is missing."""
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        return None, f"cannot be fetched without {' and '.join(missing)}"
    beside = Path(sys.prefix)
    parent = beside if os.access(beside, os.W_OK) else Path(tempfile.gettempdir())
    target = parent / f".cache-prometheus-{platform.machine()}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            if (failure := _fetch(Path(folder))) is not None:
                return None, failure
            try:
                (Path(folder) / "x").rename(target)
            except OSError:  # another process of tests was first
                if not target.exists():
                    raise
    return target, ""


def _fetch(folder: Path) -> str | None:
    """Download the package into a folder and unpack it into `x` there; return what failed."""
    failure = _run(folder, "apt-get", "download", PACKAGE)
    if failure is not None:
        # Images come without lists of packages; those of the system are not touched.
        state = folder / "state"
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True)
        own = ("-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache")
        failure = _run(folder, "apt-get", *own, "update") or _run(
            folder, "apt-get", *own, "download", PACKAGE
        )
    if failure is not None:
        return failure
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    return _run(folder, "dpkg-deb", "-x", str(package), "x")


def _run(folder: Path, *command: str) -> str | None:
    """Run a command; return why it failed, or None."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"could not be fetched: {command[0]} took longer than {DOWNLOAD_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    return f"could not be fetched: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}"
