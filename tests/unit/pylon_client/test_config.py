import traceback
from typing import Any

import pytest
from pydantic import ValidationError
from tenacity import RetryError, retry_if_exception_type, stop_after_attempt, wait_none

from pylon_client.v1 import ASYNC_DEFAULT_RETRIES, DEFAULT_RETRIES, AsyncConfig, Config

SECRET = "s3cret-t0ken"
HTTP = "http://localhost:8000"


@pytest.fixture(params=[AsyncConfig, Config])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_tokens_are_strings_with_a_hidden_repr(kind: Any) -> None:
    config = kind(
        address=HTTP, open_access_token=SECRET, identity_name="sn1", identity_token=SECRET
    )
    for shown in (repr(config), str(config), f"{config.model_dump()}", f"{vars(config)}"):
        assert SECRET not in shown
    assert config.open_access_token == config.identity_token == SECRET


def test_a_token_may_contain_a_space(kind: Any) -> None:
    assert kind(address=HTTP, open_access_token="two words").open_access_token == "two words"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "address is missing"),
        ({"address": " , "}, "address is missing"),
        ({"address": "ftp://host"}, "http:// or https://"),
        ({"address": "localhost:8000"}, "http:// or https://"),
        ({"address": "http://"}, "without a host"),
        ({"address": "http://localhost:abc"}, "address has a URL whose host or port"),
        ({"address": "http://localhost:99999"}, "address has a URL whose host or port"),
        ({"address": f"nats://{SECRET}@127.0.0.1:abc"}, "address has a URL whose host or port"),
        ({"address": "nats://127.0.0.1:99999"}, "address has a URL whose host or port"),
        ({"address": ["nats://a", "nats://b:0"]}, "address has a URL whose host or port"),
        ({"address": "nats://[::1"}, "address has a URL whose host or port"),
        ({"address": "http://a b"}, "address has a URL whose host or port"),
        ({"address": ["http://a", "http://b"]}, "only for NATS"),
        ({"address": "http://a,nats://b"}, "address must be"),
        ({"address": f"nats://sn1:{SECRET}@host"}, "must not contain credentials"),
        ({"address": f"http://{SECRET}@host"}, "must not contain credentials"),
        ({"address": HTTP, "identity_name": "sn1"}, "identity_token is missing"),
        ({"address": HTTP, "identity_token": SECRET}, "identity_name is missing"),
        (
            {"address": HTTP, "identity_name": "a.b", "identity_token": SECRET},
            "cannot name an identity",
        ),
        ({"address": HTTP, "open_access_token": f"{SECRET}\n"}, "printable"),
        ({"address": HTTP, "open_access_token": f"{SECRET}é"}, "printable"),
        ({"address": HTTP, "open_access_token": f"{SECRET} "}, "spaces at its ends"),
        ({"address": HTTP, "timeout": {"read": 0}}, "greater than 0"),
        ({"address": HTTP, "timeout": {"read": float("inf")}}, "finite"),
        ({"address": HTTP, "timeout": {"reed": 1}}, "Extra inputs"),
        ({"address": HTTP, "opn_access_token": SECRET}, r"opn_access_token\s+Extra inputs"),
    ],
)
def test_errors_do_not_contain_the_token(kind: Any, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        kind(**fields)
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))


def test_arguments_override_the_environment(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_CLIENT_ADDRESS", "nats://a:4222, tls://b:4222/")
    monkeypatch.setenv("PYLON_CLIENT_IDENTITY_NAME", "sn1")
    monkeypatch.setenv("PYLON_CLIENT_IDENTITY_TOKEN", "1234")
    monkeypatch.setenv("PYLON_CLIENT_OPEN_ACCESS_TOKEN", "")
    monkeypatch.setenv("PYLON_CLIENT_TIMEOUT__READ", "7.5")
    config = kind()
    assert config.urls == ("nats://a:4222", "tls://b:4222")
    assert config.speaks_nats
    assert (config.identity_name, config.identity_token) == ("sn1", "1234")
    assert config.open_access_token is None
    assert (config.timeout.read, config.timeout.connect) == (7.5, 5)
    monkeypatch.setenv("PYLON_CLIENT_ADDRESS", '["nats://c:1", "nats://d:2"]')
    assert kind().urls == ("nats://c:1", "nats://d:2")
    assert kind(address=f"{HTTP}/").urls == (HTTP,)
    assert not kind(address=HTTP).speaks_nats


def test_other_variables_are_ignored(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_CLIENT_OF_ANOTHER_PROGRAM", "1")
    assert kind(address=HTTP).urls == (HTTP,)


def test_a_variable_that_is_not_json_is_an_error_without_its_text(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYLON_CLIENT_TIMEOUT", SECRET)
    with pytest.raises(ValidationError, match="timeout") as caught:
        kind(address=HTTP)
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))


def test_a_copy_and_a_validated_configuration_stay_as_they_are(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = kind(address=HTTP)
    monkeypatch.setenv("PYLON_CLIENT_TIMEOUT__READ", "7.5")
    assert kind.model_validate(config) == config.model_copy() == config
    assert kind.model_validate({"address": HTTP}).timeout.read == 7.5


def test_the_defaults_are_three_attempts_with_jittered_backoff() -> None:
    for config in (AsyncConfig(address=HTTP), Config(address=HTTP)):
        timeout = config.timeout
        assert (timeout.connect, timeout.read, timeout.write, timeout.pool) == (5, 60, 5, 5)
        stop: Any = config.retry.stop
        assert stop.max_attempt_number == 3
        for attempt, wait_s in ((1, 0.1), (2, 0.2), (3, 0.4)):
            state: Any = type("State", (), {"attempt_number": attempt})()
            waits_s = {config.retry.wait(state) for _ in range(100)}
            assert len(waits_s) > 1
            assert all(wait_s <= wait <= wait_s + 0.2 for wait in waits_s)


def test_the_exception_of_the_last_attempt_is_raised() -> None:
    retry = DEFAULT_RETRIES.copy(
        stop=stop_after_attempt(2), wait=wait_none(), retry=retry_if_exception_type(OSError)
    ).copy(reraise=False)
    attempts: list[int] = []

    def fails() -> None:
        attempts.append(1)
        raise OSError("gone")

    with pytest.raises(RetryError):
        retry(fails)
    with pytest.raises(OSError, match="gone"):
        Config(address=HTTP, retry=retry).retry(fails)
    assert len(attempts) == 4
    assert not retry.reraise, "the caller's object is left as it was"


def test_a_retry_object_of_the_other_client_is_rejected() -> None:
    with pytest.raises(ValidationError, match="AsyncRetrying"):
        AsyncConfig(address=HTTP, retry=DEFAULT_RETRIES)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValidationError, match="Retrying"):
        Config(address=HTTP, retry=ASYNC_DEFAULT_RETRIES)  # pyright: ignore[reportArgumentType]
