"""Files with secrets."""

from pathlib import Path

import pytest

from pylon.common.private_file import write_private


def test_a_file_is_readable_by_its_user_only_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_temporary_file_of_an_earlier_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_text("half")
    write_private(tmp_path / "secret", "new")
    assert (tmp_path / "secret").read_text() == "new"


def test_a_failed_write_leaves_no_secret_behind(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "secret", "new")
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]
