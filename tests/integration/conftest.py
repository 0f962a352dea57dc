"""Integration tests may start the chain SDK: each gets its own caches."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _isolated_sdk(sdk_home: Path) -> None: ...
