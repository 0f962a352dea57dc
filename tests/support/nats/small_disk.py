"""A small disk that tests can fill: a tmpfs, which only root may mount."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CHUNK_BYTES = 4096


@dataclass(frozen=True)
class SmallDisk:
    """A disk of a few MiB.

    Attributes:
        path: its mount point.
    """

    path: Path

    def fill(self) -> None:
        """Use up all free space."""
        with (self.path / "filling").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(CHUNK_BYTES))
            except OSError:
                pass

    def free(self) -> None:
        """Free the space again."""
        (self.path / "filling").unlink()


@contextmanager
def small_disk(path: Path, *, mib: int = 24) -> Generator[SmallDisk]:
    """Mount a small disk within the block; skip the test if that is not possible."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a tmpfs can be mounted by root alone")
    path.mkdir()
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        # Lazily: a process that failed to stop may still have open files.
        subprocess.run(["umount", "--lazy", str(path)], check=True)
