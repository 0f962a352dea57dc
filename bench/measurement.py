"""A measured ratio with its reference, target and unit costs, and its two forms of output."""

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.pairs import Pair


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of a measurement.

    Attributes:
        limit: the limit, of the ratio or in the measurement's unit.
        at_least: whether it is a minimum.
        of_ours: whether it limits Pylon's value instead of the ratio.
    """

    limit: float
    at_least: bool = False
    of_ours: bool = False

    def __str__(self) -> str:
        return (
            f"{'ours' if self.of_ours else 'ratio'} {'≥' if self.at_least else '≤'} {self.limit:g}"
        )

    def is_met_by(self, pair: Pair) -> bool:
        """Return whether a pair of values meets the target."""
        value = pair.ours if self.of_ours else pair.ratio
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the output.

    Attributes:
        name: unique among all measurements; does not change between versions.
        what: the measured value of Pylon.
        compared_with: the reference, measured in the same run.
        pair: both values and their ratio.
        unit: of both values.
        target: the limit, if there is one.
        costs: unit costs that the capacity model uses, by name.
    """

    name: str
    what: str
    compared_with: str
    pair: Pair
    unit: str
    target: Target | None = None
    costs: Mapping[str, float] = field(default_factory=dict[str, float])

    def as_object(self, environment: Mapping[str, object]) -> dict[str, Any]:
        """Return the measurement as a JSON object."""
        return {
            "name": self.name,
            "what": self.what,
            "compared_with": self.compared_with,
            "ratio": self.pair.ratio,
            "ours": self.pair.ours,
            "reference": self.pair.bare,
            "unit": self.unit,
            "target": None if self.target is None else str(self.target),
            "meets_target": None if self.target is None else self.target.is_met_by(self.pair),
            "costs": dict(self.costs),
            "environment": dict(environment),
        }

    def as_line(self) -> str:
        """Return the measurement as a line of text."""
        pair = self.pair
        values = f"{number(pair.ours)} / {number(pair.bare)} {self.unit}"
        end = ""
        if self.target is not None:
            end = f"   {self.target}: {'met' if self.target.is_met_by(pair) else 'missed'}"
        return f"{self.name:<26}{number(pair.ratio):>8}   {values:<30}{self.what}{end}"


def number(value: float) -> str:
    """Return a number with three significant digits, without an exponent."""
    for least, decimals in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:,.{decimals}f}"
    return f"{value:.3g}"


def environment() -> dict[str, object]:
    """Return what the values depend on: the machine, its load, the interpreter and the commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 -- found on PATH
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or "unknown",
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
