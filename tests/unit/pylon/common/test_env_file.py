"""The `.env` file: which one is read, and errors that name the line."""

from pathlib import Path

import pytest
from pydantic_settings import SettingsError

from pylon.common.env_file import ENV_FILE_VARIABLE, read_env_file
from pylon.common.environment_settings import EnvironmentSettings
from pylon.common.logs import LogSettings

VALUE = "a-value-that-may-be-secret"


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ENV_FILE_VARIABLE, raising=False)


def mistakes(settings: type[EnvironmentSettings]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings()
    assert VALUE not in str(caught.value)
    return str(caught.value).splitlines()


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


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("PYLON_LOG_LEVEL=DEBUG\n".encode("utf-16"), "is UTF-16 or binary: save it as UTF-8"),
        ("PYLON_LOG_LEVEL=DEBUG\n".encode("utf-16-le"), "is UTF-16 or binary: save it as UTF-8"),
        (
            "PYLON_LOG_LEVEL=DEBUG\n# für uns\n".encode("latin-1"),
            "line 2 is not UTF-8 (perhaps Latin-1): save it as UTF-8",
        ),
    ],
)
def test_an_env_file_with_another_encoding_is_rejected(content: bytes, why: str) -> None:
    Path(".env").write_bytes(content)
    (line,) = mistakes(LogSettings)
    assert line == f"{Path('.env').absolute()} {why}"


@pytest.mark.parametrize(
    "line",
    ['PYLON_OPEN_ACCESS_TOKEN="a-secret', "PYLON_OPEN_ACCESS_TOKEN 'a-secret'", "=a-secret"],
)
def test_an_unparsable_line_is_reported(line: str) -> None:
    Path(".env").write_text(f"# first\n\n{line}\nPYLON_LOG_LEVEL=DEBUG\n")
    (text,) = mistakes(LogSettings)
    assert text.startswith(f"{Path('.env').absolute()} line 3 cannot be parsed: write NAME=value")
    assert "a-secret" not in text


@pytest.mark.parametrize(
    "line", ["", "# comment", "export A=1", "A = 1 ", "A", "A='1' # one", 'A="1\n2"', "A-B=1\r"]
)
def test_other_valid_lines_are_accepted(line: str) -> None:
    Path(".env").write_text(f"{line}\nPYLON_LOG_LEVEL=DEBUG\n")
    assert LogSettings().log_level == "DEBUG"


def test_a_utf_8_byte_order_mark_is_ignored() -> None:
    Path(".env").write_bytes("PYLON_LOG_LEVEL=DEBUG\n".encode("utf-8-sig"))
    assert LogSettings().log_level == "DEBUG"


def test_a_variable_selects_another_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PYLON_LOG_LEVEL=DEBUG\n")
    Path("other.env").write_text("PYLON_LOG_LEVEL=ERROR\n")
    monkeypatch.setenv("PYLON_ENV_FILE", "other.env")
    assert LogSettings().log_level == "ERROR"
    monkeypatch.setenv("PYLON_ENV_FILE", "")
    assert LogSettings().log_level == "INFO"
    monkeypatch.setenv("PYLON_ENV_FILE", "nowhere.env")
    assert mistakes(LogSettings) == [
        "PYLON_ENV_FILE: nowhere.env cannot be read: No such file or directory"
    ]
