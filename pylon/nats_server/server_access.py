"""The access part of a nats-server's configuration: users, certificates and the cluster.

`nats.conf` includes the output of this module, so that servers in containers and on Kubernetes have
the same users as the embedded one.
"""

from pathlib import Path
from typing import Self
from urllib.parse import quote

from pydantic import SecretStr, model_validator

from pylon.common.deployment_settings import DeploymentSettings
from pylon.nats_server.permissions import PermissionsError, authorization_config, quoted
from pylon.nats_server.server_limits import limits_text

CLUSTER_USER = "route"


class ServerAccessSettings(DeploymentSettings):
    """The settings of the deployment, and of its NATS servers.

    Attributes:
        nats_server_cert_file: the servers' certificate; if set, clients must use TLS.
        nats_server_key_file: its key.
        nats_server_ca_file: CA of client certificates; if set, clients must present one.
        nats_cluster_name: the cluster's name; empty for a single server.
        nats_cluster_listen: the address on which a server listens for the others.
        nats_cluster_routes: URLs of all servers, `nats-route://host:port`, separated by commas.
        nats_cluster_password: the password between servers.
        nats_cluster_cert_file: the certificate between servers; if set, routes use TLS.
        nats_cluster_key_file: its key.
        nats_cluster_ca_file: CA of the certificates between servers.
    """

    nats_server_cert_file: Path | None = None
    nats_server_key_file: Path | None = None
    nats_server_ca_file: Path | None = None
    nats_cluster_name: str = ""
    nats_cluster_listen: str = "0.0.0.0:6222"
    nats_cluster_routes: str = ""
    nats_cluster_password: SecretStr = SecretStr("")
    nats_cluster_cert_file: Path | None = None
    nats_cluster_key_file: Path | None = None
    nats_cluster_ca_file: Path | None = None

    @model_validator(mode="after")
    def _certificates_have_keys(self) -> Self:
        for what in ("server", "cluster"):
            cert, key, ca = (
                getattr(self, f"nats_{what}_{part}_file") for part in ("cert", "key", "ca")
            )
            if (cert is None) != (key is None) or (ca is not None and cert is None):
                raise ValueError(
                    f"PYLON_NATS_{what.upper()}_CERT_FILE: set it and _KEY_FILE together, "
                    "and _CA_FILE only with them"
                )
        if self.nats_cluster_cert_file is not None and self.nats_cluster_ca_file is None:
            raise ValueError(
                "PYLON_NATS_CLUSTER_CA_FILE: required, since servers verify each other"
            )
        return self


def server_access_config(settings: ServerAccessSettings) -> str:
    """Return the access part of a nats-server's configuration: limits, users, TLS and cluster.

    The text contains every token and is as secret as they are.

    Raises:
        PermissionsError: the settings do not result in safe users.
    """
    parts = [limits_text(), authorization_config(settings)]
    if settings.nats_server_cert_file is not None and settings.nats_server_key_file is not None:
        parts += _tls_block(
            settings.nats_server_cert_file,
            settings.nats_server_key_file,
            settings.nats_server_ca_file,
        )
    if settings.nats_cluster_name:
        parts += _cluster_block(settings)
    return "\n".join(parts) + "\n"


def _tls_block(cert: Path, key: Path, ca: Path | None) -> list[str]:
    verified = [] if ca is None else [f"  ca_file: {quoted(str(ca))}", "  verify: true"]
    return [
        "tls {",
        f"  cert_file: {quoted(str(cert))}",
        f"  key_file: {quoted(str(key))}",
        *verified,
        "}",
    ]


def _cluster_block(settings: ServerAccessSettings) -> list[str]:
    password = settings.nats_cluster_password.get_secret_value()
    if not password:
        raise PermissionsError(
            "PYLON_NATS_CLUSTER_PASSWORD is empty: any client could connect to the cluster"
        )
    tls: list[str] = []
    if settings.nats_cluster_cert_file is not None and settings.nats_cluster_key_file is not None:
        tls = _tls_block(
            settings.nats_cluster_cert_file,
            settings.nats_cluster_key_file,
            settings.nats_cluster_ca_file,
        )
    return [
        "cluster {",
        f"  name: {quoted(settings.nats_cluster_name)}",
        f"  listen: {quoted(settings.nats_cluster_listen)}",
        # Clients have all addresses in their settings; addresses of pods change.
        "  no_advertise: true",
        "  authorization {",
        f"    user: {CLUSTER_USER}",
        f"    password: {quoted(password)}",
        "    timeout: 3",
        "  }",
        "  routes: [",
        *(f"    {quoted(_with_password(url, password))}" for url in _route_urls(settings)),
        "  ]",
        *(f"  {line}" for line in tls),
        "}",
    ]


def _route_urls(settings: ServerAccessSettings) -> list[str]:
    urls = [url.strip() for url in settings.nats_cluster_routes.split(",") if url.strip()]
    if any(not url.startswith("nats-route://") or "@" in url for url in urls):
        raise PermissionsError(
            "PYLON_NATS_CLUSTER_ROUTES holds URLs like nats-route://host:6222, without a password"
        )
    return urls


def _with_password(url: str, password: str) -> str:
    # A server reads the user of a route from its URL only.
    scheme, _, address = url.partition("://")
    return f"{scheme}://{CLUSTER_USER}:{quote(password, safe='')}@{address}"
