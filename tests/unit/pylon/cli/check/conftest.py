import pytest


@pytest.fixture(autouse=True)
def _no_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read no `.env` file of the developer."""
    monkeypatch.setenv("PYLON_ENV_FILE", "")
