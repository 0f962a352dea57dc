"""Two ways to do the same, measured in turns, so that a disturbance affects both."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

ROUNDS: Final = 15
WARM_UP: Final = 20

Ask = Callable[[], Awaitable[object]]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians of both ways, and of their ratios in each turn.

    Attributes:
        ours: of Pylon.
        bare: of the reference, in the same unit.
        ratio: median of the ratios, which need not be the ratio of the medians.
    """

    ours: float
    bare: float
    ratio: float


async def compare(
    ours: list[Ask],
    bare: list[Ask],
    *,
    asks_per_round: int,
    clocks: tuple[Clock, Clock] = (time.perf_counter, time.perf_counter),
    rounds: int = ROUNDS,
) -> Pair:
    """Return the seconds per response of two ways, with as many concurrent callers as members.

    Args:
        ours: the callers of Pylon.
        bare: the callers of the bare part.
        asks_per_round: number of requests per turn, for each way.
        clocks: the clock of each way.
        rounds: number of turns.
    """
    for ask in (*ours, *bare):
        for _ in range(WARM_UP):
            await ask()
    return paired(
        [
            (
                await _time_per_ask(ours, asks_per_round, clocks[0]),
                await _time_per_ask(bare, asks_per_round, clocks[1]),
            )
            for _ in range(rounds)
        ]
    )


def paired(rounds: Sequence[tuple[float, float]]) -> Pair:
    """Return the medians of turns of two measurements each."""
    return Pair(
        ours=median(ours for ours, _ in rounds),
        bare=median(bare for _, bare in rounds),
        ratio=median(ours / bare for ours, bare in rounds),
    )


async def _time_per_ask(asks: list[Ask], count: int, clock: Clock) -> float:
    async def repeat(ask: Ask) -> None:
        for _ in range(count // len(asks)):
            await ask()

    began_s = clock()
    await asyncio.gather(*map(repeat, asks))
    return (clock() - began_s) / count
