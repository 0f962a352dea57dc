"""Exclusive use of a folder."""

from pathlib import Path

import pytest

from pylon.common.folder_lock import FolderLock


def test_a_second_holder_is_refused_until_the_release(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path, "the first"), FolderLock(tmp_path, "the first")
    first.acquire()
    with pytest.raises(OSError, match="the first runs there"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_release_without_the_lock_does_nothing(tmp_path: Path) -> None:
    FolderLock(tmp_path).release()


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderLock(tmp_path / "missing").acquire()
