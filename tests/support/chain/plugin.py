"""Fixtures about the chain SDK."""

from pathlib import Path

import pytest


@pytest.fixture
def sdk_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Isolate the chain SDK's caches from those of the machine and of other tests."""
    home = tmp_path / "sdk-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(home / "runtime-cache"))
    return home
