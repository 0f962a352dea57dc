"""The file `.env`: which file is read, and the errors of an unreadable one."""

import os
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic_settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_FILE: Final = ".env"
ENV_FILE_VARIABLE: Final = "PYLON_ENV_FILE"
"""Variable with the path of the file to read instead of `.env`; empty to read no file."""

_BYTE_ORDER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


def env_file() -> Path | None:
    """Return the path of the file to read, which may not exist; None to read no file."""
    named = os.environ.get(ENV_FILE_VARIABLE)
    if named is None:
        return Path(ENV_FILE)
    return Path(named).expanduser() if named else None


def read_env_file() -> "Mapping[str, str | None]":
    """Return the variables of the file with the names as written; empty without a file.

    Raises:
        SettingsError: the file cannot be read, is not UTF-8 text, has lines that are not
            assignments, or was named and does not exist.
    """
    path = env_file()
    if path is None:
        return {}
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        if ENV_FILE_VARIABLE in os.environ:
            raise SettingsError(
                f"{ENV_FILE_VARIABLE}: {path} cannot be read: {error.strerror}"
            ) from None
        return {}
    except OSError as error:
        raise SettingsError(f"{path.absolute()} cannot be read: {error.strerror}") from None
    text = _decode(path, content)
    _require_assignments(path, text)
    return dotenv_values(stream=StringIO(text))


def _require_assignments(path: Path, text: str) -> None:
    """Refuse lines that the parser would skip: a skipped token would disable its check."""
    wrong: list[int] = []
    for part in parse_stream(StringIO(text)):
        if part.error:  # a statement's text includes the blank lines before it
            statement = part.original.string
            blank = statement[: len(statement) - len(statement.lstrip())]
            wrong.append(part.original.line + blank.count("\n"))
    if wrong:
        lines = ", ".join(str(line) for line in wrong)
        raise SettingsError(
            f"{path.absolute()} line {lines} cannot be parsed: write NAME=value, with a closing "
            "quote for each opening one, and nothing but a # comment after it"
        )


def _decode(path: Path, content: bytes) -> str:
    if content.startswith(_BYTE_ORDER_MARKS) or b"\0" in content:
        raise SettingsError(f"{path.absolute()} is UTF-16 or binary: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError(
            f"{path.absolute()} line {line} is not UTF-8 (perhaps Latin-1): save it as UTF-8"
        ) from None
