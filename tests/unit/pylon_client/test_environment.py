"""Values of the environment for the fields of a model."""

import pytest
from pydantic import BaseModel

from pylon_client.environment import with_environment


class Steps(BaseModel):
    connect: float = 1.0
    read: float = 1.0


class Model(BaseModel):
    address: str | list[str] = ""
    steps: Steps = Steps()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("pylon_client_address", "a,b")
    monkeypatch.setenv("PYLON_CLIENT_STEPS__READ", "2")
    monkeypatch.setenv("PYLON_CLIENT_UNKNOWN", "3")
    return monkeypatch


def test_variables_are_the_values_of_fields_without_an_argument() -> None:
    assert with_environment(Model, {}) == {"address": "a,b", "steps": {"read": "2"}}
    assert with_environment(Model, {"address": "c"})["address"] == "c"


def test_an_argument_overrides_only_the_fields_that_it_names() -> None:
    assert with_environment(Model, {"steps": {"connect": 4}})["steps"] == {
        "connect": 4,
        "read": "2",
    }
    steps = Steps(connect=4)
    assert with_environment(Model, {"steps": steps})["steps"] is steps


def test_arguments_that_are_not_fields_are_kept_to_be_rejected() -> None:
    assert with_environment(Model, {"adress": "c"})["adress"] == "c"


def test_a_list_is_json(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PYLON_CLIENT_ADDRESS", '["a", "b"]')
    assert with_environment(Model, {})["address"] == ["a", "b"]
    environment.setenv("PYLON_CLIENT_STEPS", "{")
    with pytest.raises(ValueError, match="steps"):
        with_environment(Model, {})
