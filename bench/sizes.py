"""How much is measured, and where."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of a run.

    Attributes:
        turns: number of turns of each comparison.
        load_s: seconds of one turn of wrk; wrk takes whole seconds.
        connections: numbers of HTTP connections.
        blocks: number of blocks that subscribers receive in each measurement.
        block_subscribers: numbers of subscribers of blocks.
        neurons_subscribers: numbers of subscribers of a subnet's neurons.
        subnets: number of subnets of the whole network.
        network_blocks: number of blocks of the whole network, for each number of workers.
        polls: pairs of numbers of bridges and of polling clients.
        poll_s: seconds between two requests of a polling client, half of a block time.
        poll_rounds: number of requests of each client.
    """

    turns: int
    load_s: int
    connections: tuple[int, ...]
    blocks: int
    block_subscribers: tuple[int, ...]
    neurons_subscribers: tuple[int, ...]
    subnets: int
    network_blocks: int
    polls: tuple[tuple[int, int], ...]
    poll_s: float
    poll_rounds: int


FULL: Final = Sizes(
    turns=5,
    load_s=2,
    connections=(1, 16, 64),
    blocks=12,
    block_subscribers=(1, 100, 1000),
    neurons_subscribers=(1, 100),
    subnets=128,
    network_blocks=5,
    polls=((1, 10), (1, 100), (1, 1000), (2, 1000)),
    poll_s=6.0,
    poll_rounds=4,
)
QUICK: Final = Sizes(
    turns=3,
    load_s=1,
    connections=(16,),
    blocks=4,
    block_subscribers=(1, 100),
    neurons_subscribers=(1,),
    subnets=16,
    network_blocks=3,
    polls=((1, 10), (2, 100)),
    poll_s=1.0,
    poll_rounds=6,
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of some parts.

    Attributes:
        folder: for the files of its processes.
        sizes: how much is measured.
    """

    folder: Path
    sizes: Sizes

    def report(self, progress: str) -> None:
        """Write a line about the progress to the standard error."""
        sys.stderr.write(f"{progress} …\n")
        sys.stderr.flush()
