"""How the process tree runs, and why it cannot."""

from dataclasses import dataclass
from pathlib import Path

from pydantic_settings import SettingsConfigDict

from pylon.devnet.runtime.declaration import RUNTIMES
from pylon_client.environment import EnvironmentSettings

LOOPBACK = "127.0.0.1"
_REACHABLE = {"0.0.0.0": LOOPBACK, "::": "::1"}


class UpError(Exception):
    """Why the tree cannot run, in words for the person at the terminal."""


class UpSettings(EnvironmentSettings):
    """What `pylon up` itself reads of `PYLON_…` variables and the `.env` file.

    Attributes:
        home: folder of all state of `pylon up`.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)

    home: Path = Path(".pylon")


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
        devnet_runtime: the runtime of the simulated chain; None for its default.
        block_time_s: the simulated chain's block time.
        fresh: whether the simulated chain starts over, and all that was published of it.

    Raises:
        UpError: an option is of the simulated chain, and there is none.
    """

    home: Path
    host: str
    port: int
    nats_port: int
    devnet_port: int | None
    control_port: int | None
    devnet_runtime: str | None
    block_time_s: float
    fresh: bool

    def __post_init__(self) -> None:
        """Refuse what would be of no effect."""
        if self.devnet_port is None:
            if self.fresh:
                raise UpError("--fresh is for the simulated chain: add --devnet")
            if self.control_port is not None:
                raise UpError(
                    "--devnet-control-port (DEVNET_CONTROL_PORT) is for the simulated chain: "
                    "add --devnet"
                )
            if self.devnet_runtime is not None:
                raise UpError(
                    "--devnet-runtime (DEVNET_RUNTIME) is for the simulated chain: add --devnet"
                )
        if self.devnet_runtime not in {None, *RUNTIMES}:
            raise UpError(
                f"--devnet-runtime (DEVNET_RUNTIME) is {self.devnet_runtime!r}; it must be one of "
                f"{', '.join(RUNTIMES)}"
            )

    @property
    def rest_url(self) -> str:
        """Under which URL this machine reaches its own REST API."""
        host = _REACHABLE.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def nats_url(self) -> str:
        """Where the embedded nats-server listens."""
        return f"nats://{LOOPBACK}:{self.nats_port}"

    @property
    def state(self) -> Path:
        """Where the state that belongs to one chain is kept: its events, and the devnet itself."""
        return self.home if self.devnet_port is None else self.home / "devnet"

    @property
    def chain(self) -> Path:
        """Where the simulated chain is kept."""
        return self.state / "chain"

    @property
    def devnet_url(self) -> str | None:
        """Where the simulated chain listens, if there is one."""
        return None if self.devnet_port is None else f"ws://{LOOPBACK}:{self.devnet_port}"
