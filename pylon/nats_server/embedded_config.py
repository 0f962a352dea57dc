"""The configuration of the embedded nats-server, and where it is reached."""

from pathlib import Path

from pylon.common.deployment_settings import DeploymentSettings
from pylon.nats_server.permissions import authorization_config, quoted
from pylon.nats_server.server_limits import limits_text

_LOOPBACK_BY_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def store_dir(folder: Path) -> Path:
    """Return where the server keeps its streams in its folder."""
    return folder / "jetstream"


def config_text(folder: Path, host: str, port: int, settings: DeploymentSettings) -> str:
    """Return the configuration of a server.

    Args:
        folder: of the server.
        host: the address to listen on.
        port: the port to listen on; 0 lets the operating system choose.
        settings: who may do what.

    Raises:
        PermissionsError: no safe users can be made from the settings.
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
            # An acknowledged message is on disk, not in a cache that a power cut empties.
            "  sync_interval: always",
            "}",
            authorization_config(settings),
        ]
    )


def nats_url(host: str, port: int) -> str:
    """Return the URL under which this machine reaches a server that listens on an address."""
    host = _LOOPBACK_BY_WILDCARD.get(host, host)
    return f"nats://[{host}]:{port}" if ":" in host else f"nats://{host}:{port}"
