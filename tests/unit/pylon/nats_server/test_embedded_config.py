"""The configuration of the embedded nats-server."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from pylon.common.deployment_settings import DeploymentSettings
from pylon.nats_server.embedded_config import config_text, nats_url
from pylon.nats_server.permissions import quoted


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "nats://127.0.0.1:4222"),
        ("0.0.0.0", "nats://127.0.0.1:4222"),
        ("::", "nats://[::1]:4222"),
        ("fe80::1", "nats://[fe80::1]:4222"),
        ("nats.local", "nats://nats.local:4222"),
    ],
)
def test_a_wildcard_address_is_reached_by_loopback(host: str, url: str) -> None:
    assert nats_url(host, 4222) == url


@pytest.mark.parametrize(("port", "line"), [(4222, "port: 4222"), (0, "port: -1")])
def test_port_zero_lets_the_operating_system_choose(port: int, line: str) -> None:
    settings = DeploymentSettings(
        nats_worker_password=SecretStr("worker"), nats_bridge_password=SecretStr("bridge")
    )
    text = config_text(Path("/home/nats"), "127.0.0.1", port, settings)
    assert line in text.splitlines()
    assert f"store_dir: {quoted('/home/nats/jetstream')}" in text
    assert "sync_interval: always" in text
