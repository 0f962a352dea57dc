from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from tests.support.nats.scripted_nats import (
    ENVIRONMENT,
    OPEN_TOKEN,
    ScriptedNats,
    shared_bridge_client,
)


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def nats() -> ScriptedNats:
    return ScriptedNats()


@pytest.fixture
async def client(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller who presents nothing."""
    async with shared_bridge_client(nats) as client:
        yield client


@pytest.fixture
async def open_client(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller with open access."""
    async with shared_bridge_client(nats) as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        yield client
