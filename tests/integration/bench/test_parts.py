"""Each part of the measurements runs, at a tiny size."""

import json
import math
import shutil
from pathlib import Path

import pytest

from bench.__main__ import PARTS, main
from bench.capacity import UnitCosts
from bench.results import Costs
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
NEEDS_WRK = ("rest", "capacity")
OF_FIXED_SIZE = ("import", "writes")


@pytest.mark.slow
async def test_the_parts_measure_what_the_capacity_model_needs(tmp_path: Path) -> None:
    has_wrk = shutil.which("wrk") is not None
    results: dict[str, dict[str, object]] = {}
    for name, measure in PARTS.items():
        if name in OF_FIXED_SIZE or (name in NEEDS_WRK and not has_wrk):
            continue
        folder = tmp_path / name
        folder.mkdir()
        for found in [each.as_object({}) async for each in measure(Run(folder, TINY))]:
            assert found["name"] not in results
            assert found["reference"] > 0
            assert math.isfinite(found["ratio"])
            results[found["name"]] = found
    if not has_wrk:
        pytest.skip("wrk is not installed: the reads over HTTP were not measured")
    results["writes"] = {"costs": {"writes-per-s": 1.0}}
    assert UnitCosts.of(Costs(results)).polling_clients(1) > 0


def test_the_command_prints_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "import", "--json", "--quick"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["name"] == "import"
