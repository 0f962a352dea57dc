"""Report the findings of `pylon check` as lines or as one JSON object."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from pylon.cli.check.findings import Finding
from pylon.common.redaction import REDACTOR

RunCheck = Callable[[Callable[[Finding], None]], bool]
"""Runs all checks, calls its argument with each finding, and returns whether none failed."""


def report_as_lines(run: RunCheck, home: Path | None) -> bool:
    """Print a line for each finding as it comes, and return whether no check failed.

    Args:
        run: runs the checks.
        home: home of the `pylon up` to check; None for the deployment of the settings.
    """
    if home is not None:
        _write(f"This is about the Pylon that runs from {home}.")
    return run(lambda finding: _write(REDACTOR.redact_text(str(finding))))


def report_as_json(run: RunCheck, home: Path | None) -> bool:
    """Print one JSON object after all checks, and return whether none failed.

    Args:
        run: runs the checks.
        home: home of the `pylon up` to check; None for the deployment of the settings.
    """
    findings: list[Finding] = []
    is_fit = run(findings.append)
    report = {
        "ok": is_fit,
        "home": None if home is None else str(home),
        "findings": [
            {
                "level": finding.level.value.lower(),
                "subject": finding.subject,
                "text": finding.text,
                "remedy": finding.remedy or None,
            }
            for finding in findings
        ],
    }
    _write(json.dumps(REDACTOR.redact_value(report), indent=2, ensure_ascii=False))
    return is_fit


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
