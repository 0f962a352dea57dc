from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read no `.env` file of the developer."""
    monkeypatch.chdir(tmp_path)
