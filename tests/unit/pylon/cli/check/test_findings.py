"""The lines of findings."""

from pylon.cli.check.findings import Level, failure, ok, warning


def test_a_line_has_the_level_the_subject_and_the_remedy() -> None:
    assert str(failure("NATS", "not reachable", "start it")).split() == [
        *("FAIL", "NATS", "not", "reachable", "->", "start", "it")
    ]
    assert "->" not in str(ok("NATS", "connected"))


def test_levels_follow_the_function() -> None:
    assert ok("", "").level is Level.OK
    assert warning("", "", "").level is Level.WARNING
    assert failure("", "", "").level is Level.FAILURE
