"""`pylon check` reports its findings as lines or as one JSON object."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pylon.cli.check.findings import Finding, failure, ok
from pylon.cli.check.report import report_as_json, report_as_lines


def run(report: Callable[[Finding], None]) -> bool:
    report(ok("NATS", "connected"))
    report(failure("chain", "no response", "wait"))
    return False


def test_lines_name_the_home(capsys: pytest.CaptureFixture[str]) -> None:
    assert not report_as_lines(run, Path("/home"))
    first, *findings = capsys.readouterr().out.splitlines()
    assert "/home" in first
    assert [line.split()[0] for line in findings] == ["ok", "FAIL"]


def test_json_has_every_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert not report_as_json(run, None)
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "home": None,
        "findings": [
            {"level": "ok", "subject": "NATS", "text": "connected", "remedy": None},
            {"level": "fail", "subject": "chain", "text": "no response", "remedy": "wait"},
        ],
    }
