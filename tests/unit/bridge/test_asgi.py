"""The app for development servers."""

import asyncio
import importlib
from types import ModuleType
from typing import Any

import pytest

import pylon.common.logs
from bridge.connection import BridgeConnection
from bridge.memory.event_follower import EventFollower


@pytest.fixture
def asgi(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, which creates an app when it is imported."""
    monkeypatch.setattr(pylon.common.logs, "set_up_logging", lambda: None)
    module = importlib.import_module("bridge.asgi")
    monkeypatch.setattr(module, "set_up_logging", lambda: None)
    return module


async def test_the_lifespan_holds_the_connection_to_nats(
    monkeypatch: pytest.MonkeyPatch, asgi: ModuleType
) -> None:
    events: list[str] = []

    async def keep_connected(_: BridgeConnection) -> None:
        events.append("connect")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("disconnect")

    async def follow(_: EventFollower) -> None:
        events.append("follow")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("leave")

    monkeypatch.setattr(BridgeConnection, "keep_connected", keep_connected)
    monkeypatch.setattr(EventFollower, "run", follow)
    app: Any = asgi.app
    app.state.close_streams = lambda: events.append("close streams")
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0)
        assert events == ["connect", "follow"]
    assert events == ["connect", "follow", "close streams", "leave", "disconnect"]


def test_wrong_settings_end_the_process_with_one_line_each(
    monkeypatch: pytest.MonkeyPatch, asgi: ModuleType
) -> None:
    monkeypatch.setenv("PYLON_BRIDGE_PORT", "none")
    monkeypatch.setenv("PYLON_BRIDGE_MAX_STREAMS", "0")
    with pytest.raises(SystemExit) as caught:
        asgi.development_app()
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("A setting is wrong: PYLON_BRIDGE_") for line in lines)
