"""Settings of a worker that are derived or checked."""

import pytest
from pydantic_settings import SettingsError

from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings


def test_tracked_subnets_include_those_of_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_IDENTITIES", '["sn7"]')
    monkeypatch.setenv("PYLON_ID_SN7_NETUID", "7")
    monkeypatch.setenv("PYLON_TRACKED_NETUIDS", "[12, 7, 1]")
    assert WorkerSettings().netuids == [1, 7, 12]


@pytest.mark.parametrize("network", ["http://node", "ws://", "wss://node:port"])
def test_a_network_is_a_name_or_a_websocket_url(
    monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    monkeypatch.setenv("PYLON_BITTENSOR_NETWORK", network)
    with pytest.raises(SettingsError, match="must be the name of a network or a ws://") as caught:
        WorkerSettings()
    assert network not in str(caught.value).partition(":")[2].replace("ws:// or wss:// URL", "")


@pytest.mark.parametrize(
    ("role", "password", "uses_reader_user"),
    [("reader", "secret", True), ("reader", "", False), ("signer", "secret", False)],
)
def test_a_reader_with_a_password_connects_as_the_user_reader(
    monkeypatch: pytest.MonkeyPatch, role: str, password: str, *, uses_reader_user: bool
) -> None:
    monkeypatch.setenv("PYLON_WORKER_ROLE", role)
    monkeypatch.setenv("PYLON_NATS_READER_PASSWORD", password)
    settings = WorkerSettings()
    assert settings.worker_role is WorkerRole(role)
    assert settings.uses_reader_user is uses_reader_user
