"""Settings from variables: lists, empty values and error texts without values."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import NoDecode, SettingsError

from bridge.settings import BridgeSettings
from pylon.common.environment_settings import EnvironmentSettings, json_list
from pylon.common.logs import LogSettings
from pylon.nats_server.server_access import ServerAccessSettings
from pylon.worker.settings import WorkerSettings

VALUE = "a-value-that-may-be-secret"


class ExampleSettings(EnvironmentSettings):
    """Settings for the tests."""

    test_count: int = Field(default=1, ge=1)
    test_optional: int | None = 5
    test_token: SecretStr = SecretStr("")
    test_names: Annotated[list[str], NoDecode, json_list('["a"]')] = Field(
        default_factory=list[str]
    )


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def mistakes(settings: type[EnvironmentSettings]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings()
    assert VALUE not in str(caught.value)
    return str(caught.value).splitlines()


def test_an_empty_variable_unsets_an_optional_number(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize(
    ("settings", "variable", "value", "mistake"),
    [
        (WorkerSettings, "PYLON_MAX_REQUESTS", VALUE, ": should be a valid integer"),
        (WorkerSettings, "PYLON_WORKER_ROLE", VALUE, ": should be 'reader', 'signer' or 'all'"),
        (WorkerSettings, "PYLON_IDENTITIES", VALUE, ': must be a JSON list like ["sn1"]'),
        (WorkerSettings, "PYLON_IDENTITIES", f'{{"a": "{VALUE}"}}', ": must be a JSON list"),
        (WorkerSettings, "PYLON_IDENTITIES", f'["a", "{VALUE} "]', ": item 2 cannot name"),
        (WorkerSettings, "PYLON_IDENTITIES", '["a-b", "A_B"]', ": two identities would share"),
        (WorkerSettings, "PYLON_TRACKED_NETUIDS", "1, 2", ": must be a JSON list like [1, 12]"),
        (WorkerSettings, "PYLON_TRACKED_NETUIDS", f'[1, "{VALUE}"]', " item 2: should be a valid"),
        (WorkerSettings, "PYLON_NATS_URL", f"nats://{VALUE}:abc", ": must look like nats://"),
        (BridgeSettings, "PYLON_NATS_URL", f"nats://{VALUE}:99999", ": must look like nats://"),
        (BridgeSettings, "PYLON_NATS_URL", f"nats://a:1,nats://[{VALUE}", ": must look like"),
        (WorkerSettings, "PYLON_NATS_URL", f"{VALUE}:4222", ": must look like nats://"),
        (WorkerSettings, "PYLON_NATS_URL", f"nats://{VALUE}@a:4222", ": must not carry cred"),
        (WorkerSettings, "PYLON_NATS_URL", " , ", ": must be given"),
        (BridgeSettings, "PYLON_BRIDGE_PORT", "65536", ": should be less than or equal to 65535"),
        (BridgeSettings, "PYLON_MAX_REQUEST_TIMEOUT_SECONDS", "1", ""),
        (ServerAccessSettings, "PYLON_NATS_SERVER_CERT_FILE", VALUE, ": set it and _KEY_FILE"),
        (LogSettings, "PYLON_LOG_LEVEL", VALUE, ": choose DEBUG, INFO, WARNING or ERROR"),
        (LogSettings, "PYLON_LOG_FORMAT", VALUE, ": should be 'auto', 'json' or 'human'"),
    ],
)
def test_an_error_names_the_variable_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
    settings: type[EnvironmentSettings],
    variable: str,
    value: str,
    mistake: str,
) -> None:
    monkeypatch.setenv(variable, value)
    (line,) = mistakes(settings)
    assert variable in line
    assert line.startswith(variable + mistake) or not mistake


def test_all_errors_are_reported_at_once() -> None:
    Path(".env").write_text(
        f"PYLON_IDENTITIES={VALUE}\nPYLON_TRACKED_NETUIDS={VALUE}\nPYLON_CHAIN_TIMEOUT_SECONDS=-1\n"
    )
    assert [line.partition(":")[0] for line in mistakes(WorkerSettings)] == [
        "PYLON_IDENTITIES",
        "PYLON_TRACKED_NETUIDS",
        "PYLON_CHAIN_TIMEOUT_SECONDS",
    ]


@pytest.mark.parametrize("name", ["NATS_CA_FILE", "BITTENSOR_WALLET_PATH", "HEALTH_PORT"])
def test_an_empty_variable_unsets_an_optional_setting(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"PYLON_{name}", "")
    assert getattr(WorkerSettings(), name.lower()) is None


def test_a_secret_file_is_not_read_if_the_variable_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("PYLON_OPEN_ACCESS_TOKEN_FILE=/nowhere\n")
    assert "PYLON_OPEN_ACCESS_TOKEN_FILE" in mistakes(WorkerSettings)[0]
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "")
    assert WorkerSettings().open_access_token.get_secret_value() == ""
