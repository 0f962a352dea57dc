import errno
import os
from pathlib import Path

import pytest

from pylon_devnet.state_folder import LOCK_FILE, StateFolderLock, require_writable


def test_a_second_lock_is_rejected_until_the_first_is_released(tmp_path: Path) -> None:
    first, second = StateFolderLock(tmp_path), StateFolderLock(tmp_path)
    first.acquire()
    with pytest.raises(OSError, match="another devnet runs there") as caught:
        second.acquire()
    assert caught.value.errno == errno.EBUSY
    first.release()
    second.acquire()
    second.release()
    assert (tmp_path / LOCK_FILE).exists()


def test_a_release_without_a_lock_does_nothing(tmp_path: Path) -> None:
    StateFolderLock(tmp_path).release()


def test_missing_and_own_paths_are_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_writable([tmp_path, tmp_path / "file", tmp_path / "missing", tmp_path / "file" / "x"])


def test_a_path_without_access_names_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(OSError, match="is not readable and writable"):
        require_writable([tmp_path])
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match=f"belongs to user {os.getuid()} and this process is user"):
        require_writable([tmp_path])
