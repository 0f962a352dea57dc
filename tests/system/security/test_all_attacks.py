"""Run each attack on the whole product for a second; `nox -s attacks` runs for longer."""

from pathlib import Path

import pytest

from tests.support.product.attack_figures import FLOODS, SUCCESS_MIN, share
from tests.support.product.attack_run import attack
from tests.support.product.eventually import HANGS_AFTER_S


@pytest.mark.slow
async def test_no_attack_restarts_a_process_or_fails_honest_callers(
    tmp_path: Path,
) -> None:
    figures = await attack(
        tmp_path, seconds=0, attack_s=1, quiet_s=0.5, timeout_s=HANGS_AFTER_S / 4
    )
    assert figures.restarts == [], figures.report()
    assert figures.phases.keys() >= FLOODS
    latencies_s, failed = figures.settled.of(reads=True)
    assert len(latencies_s) > 0
    assert share(latencies_s, failed) >= SUCCESS_MIN, figures.report()
    written_s, unwritten = figures.settled.of(reads=False)
    assert share(written_s, unwritten) >= SUCCESS_MIN, figures.report()
    assert figures.missed_blocks == 0
