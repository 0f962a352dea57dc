"""Variables of the environment as fields of a configuration.

The module imports pydantic-settings, which no other module of the client uses; it is imported when
the first configuration is created.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

VARIABLE_PREFIX: Final = "PYLON_CLIENT_"


class _Variables(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=VARIABLE_PREFIX, env_nested_delimiter="__", arbitrary_types_allowed=True
    )


def with_environment(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model, with the environment's values of the fields left out.

    A nested model may get some of its fields from an argument, and others from the environment.
    Nothing is validated.

    Args:
        model: the model, whose fields name the variables.
        given: the arguments, which take precedence.

    Raises:
        ValueError: a variable is not the JSON that its field requires.
    """
    merged = EnvSettingsSource(_settings_class(model))()
    for name, value in given.items():
        of_environment = merged.get(name)
        if isinstance(value, dict) and isinstance(of_environment, dict):
            merged[name] = {**cast("dict[str, Any]", of_environment), **value}
        else:
            merged[name] = value
    return merged


@cache
def _settings_class(model: type[BaseModel]) -> type[BaseSettings]:
    fields: dict[str, Any] = {
        name: (field.annotation, None) for name, field in model.model_fields.items()
    }
    return create_model(model.__name__, __base__=_Variables, **fields)
