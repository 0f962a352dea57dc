"""Keeps the chain SDK's caches of one test away from those of the machine and of other tests."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def sdk_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "sdk-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(home / "runtime-cache"))
    return home
