"""The code of the previous release, from this repository's own history.

`tests/compat/previous_release` names its commit. With each release it is moved to the commit of the
release before: see docs/operations.md.
"""

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tests.support.product.environments import ROOT
from tests.support.product.eventually import HANGS_AFTER_S

COMMIT_FILE: Final = ROOT / "tests" / "compat" / "previous_release"
PACKAGES: Final = ("pylon", "pylon_client", "bridge")


def previous_release(folder: Path) -> Path:
    """Write the packages of the previous release into a folder, and return it for PYTHONPATH.

    Skips the test if the history is missing, such as in a shallow clone.
    """
    commit = COMMIT_FILE.read_text().strip()
    try:
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", "--format=tar", commit, *PACKAGES],
            capture_output=True,
            check=True,
            timeout=HANGS_AFTER_S,
        )
    except FileNotFoundError:
        pytest.skip("git is not installed, which gives the previous release")
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip()
        pytest.skip(f"the history does not hold the previous release, {commit}: {why}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    _require_imported(folder)
    return folder


def _require_imported(folder: Path) -> None:
    """Check that processes with this PYTHONPATH import these packages, not the checkout's."""
    names = ", ".join(PACKAGES)
    printed = subprocess.run(
        [sys.executable, "-c", f"import {names}\nfor m in ({names}): print(m.__file__)"],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        check=True,
        text=True,
        timeout=HANGS_AFTER_S,
    ).stdout.split()
    assert printed == [str(folder / name / "__init__.py") for name in PACKAGES]
