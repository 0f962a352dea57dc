"""Options of a devnet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pylon_devnet.runtime.runtime_names import NEWEST, RUNTIMES

MIN_BLOCK_TIME_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class DevnetOptions:
    """Options of a devnet.

    Attributes:
        host: address to listen on.
        port: WebSocket port; 0 lets the system choose.
        block_time_s: block time in seconds, at least 0.05.
        state: folder for the chain's state; None to store nothing.
        fresh: start at genesis even if the folder contains a chain.
        seed: seed of the population and its activity.
        control_port: HTTP port of the control API; None disables it, 0 lets the system choose.
        runtime: runtime to simulate, one of `RUNTIMES`.
        keep_blocks: number of past states to keep; older ones are pruned.
        past_blocks: number of blocks that a new chain starts with, with timestamps in the past.
        extra_subnets: number of additional small subnets, from netuid 101 on.
        neurons: number of neurons of every subnet, a quarter of them validators; None for the
            default of each subnet.
        active: whether stakes, weights and pools change from block to block.
        tempo_blocks: blocks per epoch of each subnet.
        genesis_time_ms: genesis time in ms since the Unix epoch; block times are then derived from
            block numbers, so that devnets with equal seeds make equal blocks. None uses the clock.
        autostart: whether to make blocks periodically; otherwise only on request.
    """

    host: str = "127.0.0.1"
    port: int = 9944
    block_time_s: float = 12.0
    state: Path | None = None
    fresh: bool = False
    seed: int = 1
    control_port: int | None = None
    runtime: str = NEWEST
    keep_blocks: int = 4096
    past_blocks: int = 0
    extra_subnets: int = 0
    neurons: int | None = None
    active: bool = True
    tempo_blocks: int = 360
    genesis_time_ms: int | None = None
    autostart: bool = True

    def __post_init__(self) -> None:
        """Validate the options.

        Raises:
            ValueError: an option is out of its range.
        """
        if self.block_time_s < MIN_BLOCK_TIME_S:
            raise ValueError(
                f"the block time is {self.block_time_s} s; the minimum is {MIN_BLOCK_TIME_S} s"
            )
        if self.runtime not in RUNTIMES:
            raise ValueError(
                f"unknown runtime {self.runtime!r}; it must be one of {', '.join(RUNTIMES)}"
            )
        if self.keep_blocks < 1:
            raise ValueError("keep_blocks must be at least 1")
        fewest, most = 16, 256
        if self.neurons is not None and not fewest <= self.neurons <= most:
            raise ValueError(f"a subnet has {fewest} to {most} neurons, not {self.neurons}")
        if not 1 <= self.tempo_blocks < 1 << 16:
            raise ValueError("tempo_blocks must be from 1 to 65535")
