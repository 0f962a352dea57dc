"""Sizes of tests whose cost grows with the size: smaller in `make check`, full in `nox -s soak`."""

import os

_IS_FULL = os.environ.get("PYLON_TESTS_FULL_SIZE") == "1"


def sized(usual: int, full: int) -> int:
    """Return the size of this run.

    Args:
        usual: the size that every change is tested with; it shows the same faults, less often.
        full: the size that the product promises or that its users have.
    """
    return full if _IS_FULL else usual
