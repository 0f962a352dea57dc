"""Jobs while processes and connections fail.

`python -m tests.support.product.fault_run` runs for longer.
"""

import json
import sys
from pathlib import Path

import pytest

from tests.support.product.fault_run import SUBNETS, FaultRun
from tests.support.product.sizes import sized


# These seeds begin with moving epochs, absent signers and deleted streams.
@pytest.mark.slow
@pytest.mark.parametrize(("servers", "seed"), [(1, 11), (3, 253)])
async def test_faults_lose_no_accepted_job_and_repeat_none(
    tmp_path: Path, servers: int, seed: int
) -> None:
    jobs = sized(usual=6, full=9)
    figures = await FaultRun(tmp_path, jobs, seed, servers=servers).run()
    sys.stdout.write(json.dumps(vars(figures)))
    assert figures.responses == jobs
    assert figures.is_good, figures
    assert figures.healed == len(SUBNETS)
