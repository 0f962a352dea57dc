"""What a check has found, and how it is told."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How good a finding is; only FAILURE keeps a deployment from its work."""

    OK = "ok"
    WARNING = "warn"
    FAILURE = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: how good it is.
        subject: what was looked at.
        text: what was found.
        remedy: what to do about it; empty where all is well.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return f"{self.level:<5} {self.subject:<22} {self.text}{remedy}"


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Something is missing that others can do without."""
    return Finding(Level.WARNING, subject, text, remedy)


def failure(subject: str, text: str, remedy: str) -> Finding:
    """Something stands in the way."""
    return Finding(Level.FAILURE, subject, text, remedy)
