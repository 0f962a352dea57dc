import stat
import tempfile
from pathlib import Path

import pytest

from pylon.cli.up.socket_folder import socket_folder
from pylon.cli.up.up_options import UpError


def test_the_folder_is_private_and_removed_at_the_end() -> None:
    with socket_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(str(folder / "worker.sock")) <= 107
    assert not folder.exists()


def test_a_missing_temporary_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(UpError, match="set TMPDIR"), socket_folder():
        pass
