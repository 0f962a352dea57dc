"""Processes with a wrong clock."""

import os
from pathlib import Path

_HOOK = Path(__file__).parent / "skewed_clock"


def skewed_clock(skew_s: float) -> dict[str, str]:
    """Return variables that shift the clock of a Python process by `skew_s` seconds."""
    path = os.pathsep.join(filter(None, (str(_HOOK), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "CLOCK_SKEW_S": str(skew_s)}
