"""Reports of `pylon up` while a component is missing."""

import itertools

from pylon.cli.up.readiness import FIRST_REPORT_S, MAX_REPORT_S, ReportSchedule


def test_reports_become_rarer_and_never_end() -> None:
    reports = ReportSchedule(now_s=0.0)
    day_s = 24 * 3600
    at_s = [now_s for now_s in range(day_s) if reports.is_due(float(now_s))]
    pauses_s = [later - earlier for earlier, later in itertools.pairwise(at_s)]
    assert at_s[0] == FIRST_REPORT_S
    assert pauses_s[:5] == [4, 8, 16, 32, 60]
    assert set(pauses_s[5:]) == {MAX_REPORT_S}
    assert at_s[-1] > day_s - 2 * MAX_REPORT_S
