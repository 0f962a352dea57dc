from pathlib import Path

import pytest

from tests.support.fault_run import FaultRun


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_w1_w6_n8_n9_n10_no_accepted_job_is_lost_or_doubled_under_faults(
    tmp_path: Path,
) -> None:
    figures = await FaultRun(tmp_path, jobs=9, seed=7).run()
    assert figures.asked == 9
    assert (figures.missing, figures.unended, figures.doubled) == (0, 0, 0), figures
    assert figures.most_in_flight <= 1
    assert figures.applied >= 1
