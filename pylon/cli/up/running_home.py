"""The settings of the Pylon that runs from a home, for commands that look at it from beside.

`pylon up` makes passwords for each run, and chooses addresses by its own options. A user who may
read its home may look at what it runs: `pylon check`, `pylon watch` and `pylon jobs` do, in any
folder.
"""

import contextlib
import fcntl
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from pylon.cli.up.up_options import UpError, UpSettings
from pylon.common.env_file import ENV_FILE_VARIABLE, env_file, read_env_file
from pylon.common.environment_settings import PREFIX
from pylon.common.private_file import write_private
from pylon.common.secret_files import FILE_SUFFIX

SETTINGS_FILE: Final = "running.json"
HEADER_FILE: Final = "open-access.header"
"""The header of open access, as `curl -H @FILE` reads it."""
NATS_URL_VARIABLE: Final = "PYLON_NATS_URL"
_PATHS: Final = (FILE_SUFFIX, "_WALLET_PATH")
"""Ends of the names of variables that hold a path."""
_NOT_DEPLOYMENT_VARIABLES: Final = frozenset({"PYLON_HOME", "PYLON_LOG_LEVEL", "PYLON_LOG_FORMAT"})
"""Variables that do not say which deployment is meant."""


class _RuntimeEnv(msgspec.Struct):
    """What is kept.

    Attributes:
        settings: every `PYLON_…` variable of its processes, those of `.env` included.
    """

    settings: dict[str, str]


@contextlib.contextmanager
def write_runtime_env(
    home: Path, env: Mapping[str, str], open_access_token: str
) -> Generator[None]:
    """Publish the settings in the home within the block, readable by its owner alone."""
    settings = {
        name: _with_absolute_path(name, text)
        for name, text in env.items()
        if name.upper().startswith(PREFIX)
    }
    settings["PYLON_HOME"] = str(home.absolute())
    kept = msgspec.json.encode(_RuntimeEnv(settings)).decode()
    written = home / SETTINGS_FILE
    header = home / HEADER_FILE
    write_private(written, kept)
    if open_access_token:
        write_private(header, f"Authorization: Bearer {open_access_token}\n")
    try:
        # Held as long as this process lives, however it ends; commands look whether it is.
        with written.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    finally:
        written.unlink(missing_ok=True)
        header.unlink(missing_ok=True)


def find_deployment(home: Path | None = None) -> Path | None:
    """Take over the settings of a running home, or leave those of the environment and `.env`.

    Args:
        home: of the command line.

    Returns:
        The home, as an absolute path, or None where the environment and `.env` say what is meant.

    Raises:
        UpError: none runs from the home of the command line, or nothing says which is meant.
    """
    found = load_runtime_env(home)
    if found is None and not _environment_names_deployment():
        file = env_file()
        asked = "the environment" if file is None else f"the environment and {file.absolute()}"
        raise UpError(
            f"no Pylon runs from {UpSettings().home.absolute()}, and {asked} have no settings of "
            "one: add --home with the home of `pylon up`, or go to the folder in which it was "
            "started"
        )
    return found


def load_runtime_env(home: Path | None = None) -> Path | None:
    """Take the settings of the Pylon that runs from a home into the environment.

    Without a home of the command line it is that of the settings, and an environment that names
    another NATS is left as it is.

    Args:
        home: of the command line.

    Returns:
        The home, as an absolute path, or None where nothing was taken.

    Raises:
        UpError: none runs from the home of the command line, or it belongs to another user.
    """
    where = (home or UpSettings().home).absolute()
    running = _read_runtime_env(where)
    if running is not None and (home is not None or _matches_environment(running.settings)):
        _apply_runtime_env(running)
        return where
    if home is not None:
        raise UpError(f"no Pylon runs from {where}: start it with `pylon up --home {home}`")
    return None


def is_running(home: Path) -> bool:
    """Return whether a `pylon up` runs from a home; write nothing.

    Raises:
        UpError: the home belongs to another user.
    """
    return _read_runtime_env(home.absolute()) is not None


def _read_runtime_env(home: Path) -> _RuntimeEnv | None:
    try:
        with (home / SETTINGS_FILE).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return msgspec.json.decode(file.read(), type=_RuntimeEnv)
            return None  # left behind by one that was killed
    except PermissionError:
        raise UpError(
            f"the Pylon of {home} belongs to another user: {SETTINGS_FILE} in it cannot be read; "
            "run this as that user"
        ) from None
    except (OSError, msgspec.DecodeError):
        return None


def _matches_environment(settings: Mapping[str, str]) -> bool:
    return os.environ.get(NATS_URL_VARIABLE, settings.get(NATS_URL_VARIABLE)) == settings.get(
        NATS_URL_VARIABLE
    )


def _apply_runtime_env(runtime_env: _RuntimeEnv) -> None:
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update(runtime_env.settings)
    os.environ[ENV_FILE_VARIABLE] = ""


def _with_absolute_path(name: str, text: str) -> str:
    """Return a setting with its path, if it holds one, as an absolute path."""
    if not text or text.startswith("~") or not name.upper().endswith(_PATHS):
        return text
    return str(Path(text).absolute())


def _environment_names_deployment() -> bool:
    given = {name.upper() for name in (*os.environ, *read_env_file())}
    return any(
        name.startswith(PREFIX)
        and name not in _NOT_DEPLOYMENT_VARIABLES
        and name != ENV_FILE_VARIABLE
        for name in given
    )
