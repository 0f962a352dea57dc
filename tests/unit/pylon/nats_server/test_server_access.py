"""The access part of a nats-server's configuration."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsError

from pylon.nats_server.permissions import PermissionsError
from pylon.nats_server.server_access import ServerAccessSettings, server_access_config


def settings_of(**values: object) -> ServerAccessSettings:
    return ServerAccessSettings(
        nats_worker_password=SecretStr("worker"),
        nats_bridge_password=SecretStr("bridge"),
        **values,  # type: ignore[arg-type]
    )


def test_a_single_server_without_certificates_has_users_only() -> None:
    text = server_access_config(settings_of())
    assert "authorization {" in text
    assert "tls {" not in text
    assert "cluster {" not in text


def test_clients_need_a_certificate_if_the_server_has_a_ca() -> None:
    pair = {"nats_server_cert_file": Path("c.pem"), "nats_server_key_file": Path("k.pem")}
    assert "verify: true" not in server_access_config(settings_of(**pair))
    with_ca = server_access_config(settings_of(**pair, nats_server_ca_file=Path("ca.pem")))
    assert "verify: true" in with_ca


def test_routes_have_the_password_and_no_client_learns_them() -> None:
    text = server_access_config(
        settings_of(
            nats_cluster_name="pylon",
            nats_cluster_password=SecretStr("p/w"),
            nats_cluster_routes="nats-route://a:6222, nats-route://b:6222",
        )
    )
    unescaped = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
    for host in "ab":
        assert f'"nats-route://route:p%2Fw@{host}:6222"' in unescaped
    assert "no_advertise: true" in text


def test_a_cluster_without_a_password_is_rejected() -> None:
    with pytest.raises(PermissionsError, match="PYLON_NATS_CLUSTER_PASSWORD"):
        server_access_config(settings_of(nats_cluster_name="pylon"))


@pytest.mark.parametrize("url", ["http://a:6222", "nats-route://user:secret@a:6222"])
def test_an_invalid_route_is_rejected_without_being_shown(url: str) -> None:
    settings = settings_of(
        nats_cluster_name="pylon",
        nats_cluster_password=SecretStr("password"),
        nats_cluster_routes=url,
    )
    with pytest.raises(PermissionsError, match="PYLON_NATS_CLUSTER_ROUTES") as caught:
        server_access_config(settings)
    assert "secret" not in str(caught.value)


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(SettingsError, match="PYLON_NATS_SERVER_CERT_FILE"):
        settings_of(nats_server_cert_file=Path("c.pem"))
