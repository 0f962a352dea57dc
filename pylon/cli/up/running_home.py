"""Runtime settings of a running `pylon up`, for other commands of the same user.

`pylon up` generates passwords for each run, and takes addresses from its options. It writes them to
its home, so that `pylon check`, `pylon watch` and `pylon jobs` can use them from any folder.
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
"""File with the open-access header, for `curl -H @FILE`."""
NATS_URL_VARIABLE: Final = "PYLON_NATS_URL"
_PATHS: Final = (FILE_SUFFIX, "_WALLET_PATH")
"""Suffixes of variables that contain a path."""
_NOT_DEPLOYMENT_VARIABLES: Final = frozenset({"PYLON_HOME", "PYLON_LOG_LEVEL", "PYLON_LOG_FORMAT"})
"""Variables that do not identify a deployment."""


class _RuntimeEnv(msgspec.Struct):
    """Content of the settings file.

    Attributes:
        settings: all `PYLON_…` variables of the processes, including those of `.env`.
    """

    settings: dict[str, str]


@contextlib.contextmanager
def write_runtime_env(
    home: Path, env: Mapping[str, str], open_access_token: str
) -> Generator[None]:
    """Write the runtime settings to the home within the block, readable only by its owner."""
    settings = {
        name: _with_absolute_path(name, text)
        for name, text in env.items()
        if name.upper().startswith(PREFIX)
    }
    settings["PYLON_HOME"] = str(home.absolute())
    content = msgspec.json.encode(_RuntimeEnv(settings)).decode()
    settings_file = home / SETTINGS_FILE
    header_file = home / HEADER_FILE
    write_private(settings_file, content)
    if open_access_token:
        write_private(header_file, f"Authorization: Bearer {open_access_token}\n")
    try:
        # The lock ends with this process; other commands check it.
        with settings_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    finally:
        settings_file.unlink(missing_ok=True)
        header_file.unlink(missing_ok=True)


def find_deployment(home: Path | None = None) -> Path | None:
    """Load the settings of a running home, or use those of the environment and `.env`.

    Args:
        home: home from the command line.

    Returns:
        The home as an absolute path, or None if the environment and `.env` name the deployment.

    Raises:
        UpError: no Pylon runs from the given home, or no deployment is named.
    """
    running_home = load_runtime_env(home)
    if running_home is None and not _environment_names_deployment():
        file = env_file()
        sources = "the environment" if file is None else f"the environment and {file.absolute()}"
        raise UpError(
            f"no Pylon runs from {UpSettings().home.absolute()}, and {sources} have no settings of "
            "one: add --home with the home of `pylon up`, or go to the folder in which it was "
            "started"
        )
    return running_home


def load_runtime_env(home: Path | None = None) -> Path | None:
    """Load the settings of the Pylon that runs from a home into the environment.

    Without a given home, uses the home of the settings, unless the environment names another NATS.

    Args:
        home: home from the command line.

    Returns:
        The home as an absolute path, or None if no settings were loaded.

    Raises:
        UpError: no Pylon runs from the given home, or it belongs to another user.
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
    """Return whether a `pylon up` runs from a home, without writing to it.

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
            return None  # left by a killed process
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
    """Return a setting, made absolute if it is a path."""
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
