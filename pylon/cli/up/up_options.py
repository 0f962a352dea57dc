"""Options, settings and errors of `pylon up`."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pydantic import field_validator
from pydantic_settings import SettingsConfigDict

from pylon.cli.command_error import CommandError
from pylon.common.environment_settings import EnvironmentSettings
from pylon.nats_server.embedded_config import nats_url
from pylon_devnet.runtime.runtime_names import RUNTIMES

LOOPBACK = "127.0.0.1"
_LOCAL_ADDRESSES = {"0.0.0.0": LOOPBACK, "::": "::1"}


class UpError(CommandError):
    """`pylon up` failed; the message is shown to the user."""


class UpSettings(EnvironmentSettings):
    """Settings that `pylon up` reads from `PYLON_…` variables and the `.env` file.

    Attributes:
        home: folder of all state of `pylon up`.
        nats_host: address of the embedded nats-server; other machines can connect unless it is a
            loopback address.
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
    """Options of `pylon up`.

    Attributes:
        home: folder of all state.
        host: address of the REST API.
        port: port of the REST API.
        nats_host: address of the embedded nats-server.
        nats_port: port of the embedded nats-server.
        devnet_port: port of the simulated chain; None to use the configured network.
        control_port: port of the simulated chain's control API; None disables it.
        devnet_runtime: runtime of the simulated chain; None for its default.
        devnet_tempo: blocks per epoch of the simulated chain; None for its default.
        devnet_seed: seed of the simulated chain; None for its default.
        block_time_s: block time of the simulated chain in seconds.
        fresh: whether to delete the simulated chain, its events and jobs first.

    Raises:
        UpError: an option of the simulated chain is set without `--devnet`.
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
        """Reject options that would have no effect."""
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
        """URL of the REST API on this machine."""
        host = _LOCAL_ADDRESSES.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def nats_url(self) -> str:
        """URL of the embedded nats-server on this machine."""
        return nats_url(self.nats_host, self.nats_port)

    @property
    def exposes_nats(self) -> bool:
        """Whether other machines can connect to the embedded nats-server."""
        return not ipaddress.ip_address(self.nats_host).is_loopback

    @property
    def state_folder(self) -> Path:
        """Folder of the state of one chain: events, jobs and the devnet."""
        return self.home if self.devnet_port is None else self.home / "devnet"

    @property
    def chain_folder(self) -> Path:
        """State folder of the simulated chain."""
        return self.state_folder / "chain"

    @property
    def devnet_url(self) -> str | None:
        """URL of the simulated chain; None without `--devnet`."""
        return None if self.devnet_port is None else f"ws://{LOOPBACK}:{self.devnet_port}"
