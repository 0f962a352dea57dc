"""Settings from variables and the `.env` file, and the error texts of wrong ones."""

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BeforeValidator, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from pylon.common.env_file import read_env_file
from pylon.common.secret_files import read_secret_files

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "PYLON_"
DEPRECATED_VARIABLES: Final = {
    "PYLON_CHAIN_TIMEOUT_S": "PYLON_CHAIN_TIMEOUT_SECONDS",
    "PYLON_DRAIN_TIMEOUT_S": "PYLON_DRAIN_TIMEOUT_SECONDS",
    "PYLON_HEAD_SILENCE_S": "PYLON_HEAD_SILENCE_SECONDS",
}
"""Old names of variables with their current names; the old ones still have an effect."""


class EnvironmentSettings(BaseSettings):
    """Settings from `PYLON_…` variables; secrets may be in files instead.

    For an optional setting, an empty variable means that it is not set.

    Raises:
        SettingsError: at construction, with one line per mistake. A line names the variable and
            does not show its value.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True)

    if not TYPE_CHECKING:  # type checkers know the constructor by the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                prefix = values.get("_env_prefix", self.model_config["env_prefix"])
                raise SettingsError(_format_errors(error, prefix)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object, info: ValidationInfo) -> object:
        kind = cls.model_fields[str(info.field_name)].annotation
        return None if value == "" and type(None) in get_args(kind) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of settings in the order of their precedence."""
        del settings_cls, file_secret_settings
        assert isinstance(dotenv_settings, EnvSettingsSource)  # noqa: S101 -- the library's own is
        dotenv_settings.env_vars = {
            name.lower(): text
            for name, text in read_env_file().items()
            if text or not dotenv_settings.env_ignore_empty
        }
        decided: Mapping[str, str | None] = {}
        for source in (env_settings, dotenv_settings):
            _apply_deprecated_names(source)
            decided = read_secret_files(source, decided)
        return init_settings, env_settings, dotenv_settings


def json_list(example: str) -> BeforeValidator:
    """Return a validator that parses a JSON list.

    Args:
        example: a valid list, shown in the error text.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        with contextlib.suppress(ValueError):
            found = json.loads(value)
            if isinstance(found, list):
                return found  # pyright: ignore[reportUnknownVariableType] -- validated next
        raise ValueError(f"must be a JSON list like {example}")

    return BeforeValidator(read)


def _apply_deprecated_names(source: PydanticBaseSettingsSource) -> None:
    """Set variables whose deprecated names alone are given in a source."""
    assert isinstance(source, EnvSettingsSource)  # noqa: S101 -- the library's own sources are
    given = source.env_vars
    source.env_vars = {
        new.lower(): given[old.lower()]
        for old, new in DEPRECATED_VARIABLES.items()
        if old.lower() in given
    } | dict(given)


def _format_errors(error: ValidationError, prefix: str) -> str:
    found = error.errors(include_url=False, include_input=False)
    return "\n".join(_format_error(one, prefix) for one in found)


def _format_error(error: ErrorDetails, prefix: str) -> str:
    if error["type"] == "missing":
        text = "required"
    elif error["type"].endswith("too_short") and error.get("ctx", {}).get("min_length") == 1:
        text = "must not be empty"
    else:
        text = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not error["loc"]:  # about several settings, which the text names
        return text
    name, *items = error["loc"]
    place = "".join(f" item {item + 1}" for item in items if isinstance(item, int))
    return f"{prefix}{name}".upper() + f"{place}: {text}"
