"""Findings of checks, and their text form."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Severity of a finding; only FAILURE prevents a deployment from working."""

    OK = "ok"
    WARNING = "warn"
    FAILURE = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        level: severity.
        subject: subject of the check.
        text: description of the result.
        remedy: action for the operator; empty for OK.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return f"{self.level:<5} {self.subject:<22} {self.text}{remedy}"


def ok(subject: str, text: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Return a finding about a problem that does not prevent the deployment from working."""
    return Finding(Level.WARNING, subject, text, remedy)


def failure(subject: str, text: str, remedy: str) -> Finding:
    """Return a finding about a problem that prevents the deployment from working."""
    return Finding(Level.FAILURE, subject, text, remedy)
