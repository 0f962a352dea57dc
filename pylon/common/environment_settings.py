"""Settings from variables and the `.env` file, and what is said of those that are wrong."""

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


class EnvironmentSettings(BaseSettings):
    """Settings from `PYLON_…` variables, whose secrets may be in files instead.

    An empty variable stands for none where a setting may be without a value.

    Raises:
        SettingsError: at construction, with a line for each mistake, which names the variable and
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
        """Where settings come from, the first that knows one wins."""
        del settings_cls, file_secret_settings
        assert isinstance(dotenv_settings, EnvSettingsSource)  # noqa: S101 -- the library's own is
        dotenv_settings.env_vars = {
            name.lower(): text
            for name, text in read_env_file().items()
            if text or not dotenv_settings.env_ignore_empty
        }
        decided: Mapping[str, str | None] = {}
        for source in (env_settings, dotenv_settings):
            decided = read_secret_files(source, decided)
        return init_settings, env_settings, dotenv_settings


def json_list(example: str) -> BeforeValidator:
    """What reads a list from a variable.

    Args:
        example: as a mistake shows how to write one.
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
    if not error["loc"]:  # it is about several settings, which its text names
        return text
    name, *items = error["loc"]
    place = "".join(f" item {item + 1}" for item in items if isinstance(item, int))
    return f"{prefix}{name}".upper() + f"{place}: {text}"
