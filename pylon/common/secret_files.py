"""Secrets from files named by `PYLON_…_FILE` variables, as usual in containers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource, SettingsError

MAX_SECRET_FILE_BYTES: Final = 65_536
FILE_SUFFIX: Final = "_FILE"


def read_secret_files(
    source: PydanticBaseSettingsSource, decided: Mapping[str, str | None]
) -> Mapping[str, str | None]:
    """Add the secrets of files to a source of variables.

    `PYLON_X_FILE` names the file of the secret `PYLON_X`. A line break at the end of the file is
    removed.

    Args:
        source: a source of variables.
        decided: variables of a source with precedence; their files are not read.

    Returns:
        The variables of this source, including the secrets.

    Raises:
        SettingsError: a file cannot be read or is empty, or both a secret and its file are given.
            The text contains the variable and the path, and nothing of the file's content.
    """
    assert isinstance(source, EnvSettingsSource)  # noqa: S101 -- the library's own sources are
    given = source.env_vars
    found = {
        name: _read(f"{name}{FILE_SUFFIX}".upper(), path, beside=given.get(name))
        for name in _secrets(source.settings_cls.model_fields, source.env_prefix)
        if name not in decided and (path := given.get(f"{name}{FILE_SUFFIX}".lower()))
    }
    source.env_vars = {**given, **found}
    return source.env_vars


def _secrets(fields: Mapping[str, FieldInfo], prefix: str) -> list[str]:
    return [
        f"{prefix}{name}".lower() for name, field in fields.items() if field.annotation is SecretStr
    ]


def _read(variable: str, path: str, *, beside: str | None) -> str:
    if beside:
        raise SettingsError(f"set {variable.removesuffix(FILE_SUFFIX)} or {variable}, not both")
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_SECRET_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_SECRET_FILE_BYTES:
        raise SettingsError(f"{variable}: {path} is too large for a secret")
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: {path} is not UTF-8 text") from None
    if not secret:
        # An empty secret would disable the check that the operator wants to enable.
        raise SettingsError(f"{variable}: {path} is empty")
    return secret
