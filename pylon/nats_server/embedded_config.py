"""The configuration of the embedded nats-server, and its URL."""

from pathlib import Path

from pylon.common.deployment_settings import DeploymentSettings
from pylon.nats_server.permissions import authorization_config, quoted
from pylon.nats_server.server_limits import limits_text

_LOOPBACK_BY_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def store_dir(folder: Path) -> Path:
    """Return the folder of the server's streams."""
    return folder / "jetstream"


def config_text(folder: Path, host: str, port: int, settings: DeploymentSettings) -> str:
    """Return the configuration of a server.

    Args:
        folder: folder of the server.
        host: the address to listen on.
        port: the port to listen on; 0 lets the operating system choose.
        settings: the deployment, with its users.

    Raises:
        PermissionsError: the settings do not result in safe users.
    """
    return "\n".join(
        [
            f"host: {quoted(host)}",
            f"port: {port or -1}",
            "server_name: pylon",
            "logtime: false",
            f"ports_file_dir: {quoted(str(folder / 'ports'))}",
            limits_text(),
            "jetstream {",
            f"  store_dir: {quoted(str(store_dir(folder)))}",
            # An acknowledged message must be on disk, not in a cache that a power failure empties.
            "  sync_interval: always",
            "}",
            authorization_config(settings),
        ]
    )


def nats_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on an address."""
    host = _LOOPBACK_BY_WILDCARD.get(host, host)
    return f"nats://[{host}]:{port}" if ":" in host else f"nats://{host}:{port}"
