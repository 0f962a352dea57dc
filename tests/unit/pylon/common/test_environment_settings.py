"""Settings from variables: lists, empty values and error texts without values."""

from typing import Annotated

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import NoDecode, SettingsError

from pylon.common.environment_settings import EnvironmentSettings, json_list


class ExampleSettings(EnvironmentSettings):
    """Settings for the tests."""

    test_count: int = Field(default=1, ge=1)
    test_optional: int | None = 5
    test_token: SecretStr = SecretStr("")
    test_names: Annotated[list[str], NoDecode, json_list('["a"]')] = Field(
        default_factory=list[str]
    )


def test_an_empty_variable_unsets_an_optional_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_TEST_OPTIONAL", "")
    assert ExampleSettings().test_optional is None


def test_a_list_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_TEST_NAMES", '["b", "c"]')
    assert ExampleSettings().test_names == ["b", "c"]


def test_errors_name_each_variable_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_TEST_COUNT", "-4711")
    monkeypatch.setenv("PYLON_TEST_NAMES", "a-value")
    with pytest.raises(SettingsError) as caught:
        ExampleSettings()
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["PYLON_TEST_COUNT", "PYLON_TEST_NAMES"]
    assert 'must be a JSON list like ["a"]' in lines[1]
    assert "4711" not in str(caught.value)
    assert "a-value" not in str(caught.value)
