"""If one of three clocks disagrees with the others, it is named."""

import pytest

from pylon.cli.check.clock_check import check_head
from pylon.cli.check.findings import Level

SILENCE_S = 36.0


@pytest.mark.parametrize(
    ("age_s", "nats_ahead_s", "level", "says"),
    [
        (3, 0.01, Level.OK, "3 s old"),
        (3, None, Level.OK, "3 s old"),
        (-2, 0.01, Level.OK, "0 s old"),
        (599, 0.01, Level.FAILURE, "the node lags behind: choose another"),
        (599, None, Level.FAILURE, "unless the clock of this machine is ahead"),
        (-599, None, Level.WARNING, "this machine's clock is behind, or the chain's is ahead"),
        (-599, 0.01, Level.WARNING, "the clocks of both are behind, or the chain's is ahead"),
        (-599, 602, Level.WARNING, "clock of this machine is 602 s behind, by the NATS server and"),
        (602, -600, Level.WARNING, "clock of this machine is 600 s ahead, by the NATS server and"),
        (3, 600, Level.WARNING, "the clock of the NATS server is 600 s ahead, by this machine and"),
        (3, -600, Level.WARNING, "the clock of the NATS server is 600 s behind"),
        (599, 300, Level.WARNING, "300 s behind, by the NATS server; by the chain"),
    ],
)
def test_the_wrong_clock_is_named(
    age_s: float, nats_ahead_s: float | None, level: Level, says: str
) -> None:
    findings = check_head("node", 7, age_s, silence_s=SILENCE_S, nats_offset_s=nats_ahead_s)
    (found,) = [each for each in findings if says in str(each)]
    assert found.level is level
    assert all("-" not in each.text for each in findings), "no age is negative"
    assert "node is at block 7" in findings[0].text
