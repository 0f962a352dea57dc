"""What can be chosen when a devnet is started."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pylon_devnet.runtime.declaration import NEWEST, RUNTIMES

MIN_BLOCK_TIME_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class DevnetOptions:
    """How a devnet behaves.

    Attributes:
        host: the address to listen on.
        port: the WebSocket port; 0 lets the system choose.
        block_time_s: seconds from block to block, at least 0.05.
        state: folder that keeps the chain; None forgets it at the end.
        fresh: start at genesis even if the folder has a chain.
        seed: decides the population and how it behaves.
        control_port: HTTP port of the control API; None for none, 0 lets the system choose.
        runtime: the shape and rules of which runtime it has; one of `RUNTIMES`.
        keep_blocks: so many past states can be read; older ones are pruned.
        past_blocks: a chain that begins has so many blocks behind it already, as if made in time.
        extra_subnets: so many small subnets beside the usual ones, from netuid 101 on.
        neurons: every subnet has so many, a quarter of them validators; None leaves each its own.
        active: the subnets live: stakes, weights and pools change from block to block.
        tempo_blocks: blocks per epoch of each subnet.
        genesis_time_ms: makes time a matter of block numbers, so that two devnets of one seed make
            the same blocks; None takes the clock's.
        autostart: make blocks as time passes; otherwise only when told to.
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
        """Refuses what cannot work.

        Raises:
            ValueError: an option is out of its range.
        """
        if self.block_time_s < MIN_BLOCK_TIME_S:
            raise ValueError(
                f"the block time is {self.block_time_s} s; least is {MIN_BLOCK_TIME_S} s"
            )
        if self.runtime not in RUNTIMES:
            raise ValueError(f"there is no runtime {self.runtime!r}, only {', '.join(RUNTIMES)}")
        if self.keep_blocks < 1:
            raise ValueError("at least one past state must be kept")
        fewest, most = 16, 256
        if self.neurons is not None and not fewest <= self.neurons <= most:
            raise ValueError(f"a subnet has {fewest} to {most} neurons, not {self.neurons}")
        if not 1 <= self.tempo_blocks < 1 << 16:
            raise ValueError("a tempo is a number of blocks that fits 16 bits")
