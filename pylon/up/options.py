"""How the process tree runs."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """How the tree runs.

    Attributes:
        home: the folder of all state.
        host: on which address the REST API listens.
        port: its port.
        nats_port: the port of the embedded nats-server.
        devnet_port: the port of the simulated chain; None to use the configured network.
        control_port: the port of the simulated chain's controls; None for no controls.
        block_time_s: the simulated chain's block time.
        fresh: whether the simulated chain starts over, and all that was published of it.
    """

    home: Path
    host: str
    port: int
    nats_port: int
    devnet_port: int | None
    control_port: int | None
    block_time_s: float
    fresh: bool

    @property
    def reachable_host(self) -> str:
        """An address under which this machine reaches its own REST API."""
        return LOOPBACK if self.host in ("0.0.0.0", "::") else self.host

    @property
    def state(self) -> Path:
        """Where the state that belongs to one chain is kept: its events, and the devnet itself."""
        return self.home if self.devnet_port is None else self.home / "devnet"

    @property
    def devnet_url(self) -> str | None:
        """Where the simulated chain listens, if there is one."""
        return None if self.devnet_port is None else f"ws://{LOOPBACK}:{self.devnet_port}"
