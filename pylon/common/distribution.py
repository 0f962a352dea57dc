"""The distribution of the service, and its installed version."""

from importlib.metadata import version
from typing import Final

DISTRIBUTION: Final = "pylon-service"


def service_version() -> str:
    """Return the installed version of the service."""
    return version(DISTRIBUTION)
