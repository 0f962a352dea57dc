"""Part `writes`: accepted writes per second, compared with bare durable publishes."""

from collections.abc import AsyncGenerator
from typing import Final

from bench import writes
from bench.measurement import Measurement, Target
from bench.pairs import Pair
from bench.sizes import Run

TARGETS: Final = {1: 0.25, writes.CALLERS: 0.5}
"""Targets of the throughput, as a ratio, by the number of callers."""


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield the throughput of one caller and of many."""
    run.report("writes")
    pairs = [pair for _, pair in await writes.measure(run.folder)]
    for (callers, at_least), pair in zip(TARGETS.items(), pairs, strict=True):
        per_s = 1 / pair.ours
        yield Measurement(
            f"writes-{callers}",
            f"accepted writes of {callers} caller{'s' * (callers > 1)}",
            "bare durable publishes of the same bytes",
            Pair(per_s, 1 / pair.bare, 1 / pair.ratio),
            "writes/s",
            Target(at_least, at_least=True),
            {"writes-per-s": per_s},
        )
