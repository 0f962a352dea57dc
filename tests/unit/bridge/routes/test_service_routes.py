from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_settings import SettingsError

from bridge.settings import BridgeSettings
from tests.support.nats.scripted_nats import ScriptedNats


async def test_health_says_that_the_process_lives_whatever_nats_does(
    client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    for connected in (True, False):
        nats.is_connected = connected
        response = await client.get("/health")
        assert response.status_code == 200
        assert response.json() == {"status": "ok", "nats_connected": connected}


async def test_readiness_requires_nats(client: httpx.AsyncClient, nats: ScriptedNats) -> None:
    assert (await client.get("/health/ready")).status_code == 200
    nats.is_connected = False
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["code"] == "NATS_UNAVAILABLE"
    assert response.headers["Retry-After"] == "1"


async def test_the_identities_are_public_and_their_tokens_are_not(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/api/v1/identities")
    assert response.status_code == 200
    assert response.json() == {"identities": {"sn1": 1, "sn2": 2}}


def test_settings_have_the_documented_names_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = BridgeSettings()
    assert (settings.bridge_host, settings.bridge_port) == ("127.0.0.1", 8000)
    assert settings.default_request_timeout_seconds == 60
    assert settings.max_request_timeout_seconds == 300
    monkeypatch.setenv("PYLON_DEFAULT_REQUEST_TIMEOUT_SECONDS", "5")
    monkeypatch.setenv("PYLON_MAX_REQUEST_TIMEOUT_SECONDS", "6.5")
    monkeypatch.setenv("PYLON_BRIDGE_HOST", "0.0.0.0")
    monkeypatch.setenv("PYLON_BRIDGE_PORT", "80")
    settings = BridgeSettings()
    assert (settings.bridge_host, settings.bridge_port) == ("0.0.0.0", 80)
    assert [settings.request_timeout_s(asked_s) for asked_s in (None, 6, 7)] == [5, 6, 6.5]


def test_settings_may_come_from_a_file() -> None:
    Path(".env").write_text("PYLON_BRIDGE_PORT=81\nPYLON_UNKNOWN=1\n")
    assert BridgeSettings().bridge_port == 81


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_request_timeout_seconds": 0},
        {"default_request_timeout_seconds": 301},
        {"max_request_timeout_seconds": -1},
        {"max_request_timeout_seconds": float("inf")},
        {"bridge_port": 65536},
        {"bridge_max_requests": 0},
        {"bridge_graceful_shutdown_seconds": 0},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="PYLON_"):
        BridgeSettings(**wrong)
