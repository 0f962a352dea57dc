"""Settings of the bridge."""

from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import SettingsError

from bridge.settings import BridgeSettings


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


@pytest.mark.parametrize("prefix", ["pylon", "/api", "/schema/x", "//pylon", "/py lon", "/a/../b"])
def test_a_prefix_that_cannot_be_served_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match="PYLON_BRIDGE_ROOT_PATH"):
        BridgeSettings(bridge_root_path=prefix)


@pytest.mark.parametrize("prefix", ["", "/"])
def test_no_prefix_is_the_root(prefix: str) -> None:
    assert BridgeSettings(bridge_root_path=prefix).bridge_root_path == ""


@pytest.mark.parametrize("prefix", ["/pylon", "/pylon/", "/gateways/pylon", "/~user/v1.0"])
def test_a_prefix_has_no_slash_at_its_end(prefix: str) -> None:
    assert BridgeSettings(bridge_root_path=prefix).bridge_root_path == prefix.rstrip("/")


def test_trusted_proxies_are_a_json_list_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_BRIDGE_TRUSTED_PROXIES", '["10.0.0.0/8", "192.0.2.7", "fd00::/8"]')
    networks = [str(network) for network in BridgeSettings().bridge_trusted_proxies]
    assert networks == ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]
    monkeypatch.setenv("PYLON_BRIDGE_TRUSTED_PROXIES", "10.0.0.0/8")
    with pytest.raises(SettingsError, match="PYLON_BRIDGE_TRUSTED_PROXIES"):
        BridgeSettings()
