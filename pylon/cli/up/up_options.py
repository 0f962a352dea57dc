"""How the process tree runs, and why it cannot."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pydantic import field_validator
from pydantic_settings import SettingsConfigDict

from pylon.cli.command_error import CommandError
from pylon.common.environment_settings import EnvironmentSettings
from pylon.nats_server.embedded_config import nats_url
from pylon_devnet.runtime.declaration import RUNTIMES

LOOPBACK = "127.0.0.1"
_LOCAL_ADDRESSES = {"0.0.0.0": LOOPBACK, "::": "::1"}


class UpError(CommandError):
    """Why the tree cannot run, in words for the person at the terminal."""


class UpSettings(EnvironmentSettings):
    """What `pylon up` itself reads of `PYLON_…` variables and the `.env` file.

    Attributes:
        home: folder of all state of `pylon up`.
        nats_host: address on which the embedded nats-server listens; with another than a loopback
            address, other machines can connect.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)

    home: Path = Path(".pylon")
    nats_host: str = LOOPBACK

    @field_validator("nats_host")
    @classmethod
    def _validate_nats_host(cls, host: str) -> str:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(
                "must be an IP address, such as 0.0.0.0 for all of this machine"
            ) from None
        return host


@dataclass(frozen=True, slots=True)
class UpOptions:
    """How the tree runs.

    Attributes:
        home: the folder of all state.
        host: on which address the REST API listens.
        port: its port.
        nats_host: on which address the embedded nats-server listens.
        nats_port: its port.
        devnet_port: the port of the simulated chain; None to use the configured network.
        control_port: the port of the simulated chain's controls; None for no controls.
        devnet_runtime: the runtime of the simulated chain; None for its default.
        devnet_tempo: blocks per epoch of the simulated chain; None for its default.
        devnet_seed: what decides who lives on the simulated chain; None for its default.
        block_time_s: the simulated chain's block time.
        fresh: whether the simulated chain starts over, and all that was published of it.

    Raises:
        UpError: an option is of the simulated chain, and there is none.
    """

    home: Path
    host: str
    port: int
    nats_host: str
    nats_port: int
    devnet_port: int | None
    control_port: int | None
    devnet_runtime: str | None
    devnet_tempo: int | None
    devnet_seed: int | None
    block_time_s: float
    fresh: bool

    def __post_init__(self) -> None:
        """Refuse what would be of no effect."""
        if self.devnet_port is None:
            of_the_chain = {
                "--fresh": self.fresh or None,
                "--devnet-control-port (DEVNET_CONTROL_PORT)": self.control_port,
                "--devnet-runtime (DEVNET_RUNTIME)": self.devnet_runtime,
                "--tempo (DEVNET_TEMPO)": self.devnet_tempo,
                "--seed (DEVNET_SEED)": self.devnet_seed,
            }
            for option, value in of_the_chain.items():
                if value is not None:
                    raise UpError(f"{option} is for the simulated chain: add --devnet")
        if self.devnet_runtime not in {None, *RUNTIMES}:
            raise UpError(
                f"--devnet-runtime (DEVNET_RUNTIME) is {self.devnet_runtime!r}; it must be one of "
                f"{', '.join(RUNTIMES)}"
            )

    @property
    def rest_url(self) -> str:
        """Under which URL this machine reaches its own REST API."""
        host = _LOCAL_ADDRESSES.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def nats_url(self) -> str:
        """Where this machine reaches the embedded nats-server."""
        return nats_url(self.nats_host, self.nats_port)

    @property
    def exposes_nats(self) -> bool:
        """Whether other machines can connect to the embedded nats-server."""
        return not ipaddress.ip_address(self.nats_host).is_loopback

    @property
    def state_folder(self) -> Path:
        """Where the state that belongs to one chain is kept: its events, and the devnet itself."""
        return self.home if self.devnet_port is None else self.home / "devnet"

    @property
    def chain_folder(self) -> Path:
        """Where the simulated chain is kept."""
        return self.state_folder / "chain"

    @property
    def devnet_url(self) -> str | None:
        """Where the simulated chain listens, if there is one."""
        return None if self.devnet_port is None else f"ws://{LOOPBACK}:{self.devnet_port}"
