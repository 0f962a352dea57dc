"""Parts of the measurements run, at a tiny size, and have the costs that the model needs."""

import math
import shutil
from pathlib import Path

import pytest

from bench.__main__ import PARTS
from bench.sizes import Run, Sizes

TINY = Sizes(
    turns=1,
    load_s=1,
    connections=(16,),
    blocks=1,
    block_subscribers=(2,),
    neurons_subscribers=(1,),
    subnets=4,
    network_blocks=1,
    polls=((1, 4),),
    poll_s=2.0,
    poll_rounds=1,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "costs"),
    [
        ("rest", {"rest-neurons-bridge-cpu-s", "rest-neurons-304-worker-cpu-s"}),
        ("nats", {"nats-neurons-worker-cpu-s"}),
        ("subscribers", {"subscribers-blocks-nats-cpu-s", "subscribers-neurons-event-bytes"}),
    ],
)
async def test_a_part_yields_ratios_and_costs(tmp_path: Path, part: str, costs: set[str]) -> None:
    if part == "rest" and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    found = [each async for each in PARTS[part](Run(tmp_path, TINY))]
    assert len({each.name for each in found}) == len(found)
    assert all(each.pair.bare > 0 and math.isfinite(each.pair.ratio) for each in found)
    assert costs <= {name for each in found for name in each.costs}
