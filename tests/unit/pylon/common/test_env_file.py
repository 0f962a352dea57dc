"""The `.env` file: which one is read, and errors that name the line."""

from pathlib import Path

import pytest
from pydantic_settings import SettingsError

from pylon.common.env_file import ENV_FILE_VARIABLE, read_env_file


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ENV_FILE_VARIABLE, raising=False)


def test_without_a_file_there_are_no_variables() -> None:
    assert read_env_file() == {}


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_FILE_VARIABLE, "missing.env")
    with pytest.raises(SettingsError, match=r"missing\.env cannot be read"):
        read_env_file()


def test_an_empty_name_reads_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PYLON_HOST=1\n")
    monkeypatch.setenv(ENV_FILE_VARIABLE, "")
    assert read_env_file() == {}


def test_variables_are_read_from_the_named_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.env").write_text("# a comment\nPYLON_A='x y'\nexport PYLON_B=2\n")
    monkeypatch.setenv(ENV_FILE_VARIABLE, "other.env")
    assert read_env_file() == {"PYLON_A": "x y", "PYLON_B": "2"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"PYLON_A=1\n\nPYLON_TOKEN='open\n", "line 3 cannot be parsed"),
        ("PYLON_A=1\nPYLON_B=ä\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("PYLON_A=1\n".encode("utf-16"), "is UTF-16 or binary"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_an_error_with_its_line(content: bytes, error: str) -> None:
    Path(".env").write_bytes(content)
    with pytest.raises(SettingsError, match=error):
        read_env_file()
