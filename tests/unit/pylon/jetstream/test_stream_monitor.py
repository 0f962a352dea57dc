"""Checks of the streams while a worker runs."""

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pylon.jetstream import stream_monitor
from pylon.jetstream.provision import ProvisionError
from pylon.jetstream.stream_monitor import CHECK_INTERVAL_S, StreamMonitor
from pylon_client.contract.topology import EVENTS, JOB_STORE, STREAMS, StreamPlan
from tests.support.product.stepped_loop import run_stepped

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection


class Server:
    """Streams that are usable, missing or wrong, and a connection with gaps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.missing: set[str] = set()
        self.wrong: dict[str, str] = {}
        self.checked: list[tuple[str, int]] = []
        self.listeners: list[Callable[[], None]] = []
        self.connection = SimpleNamespace(is_connected=True, on_gap=self._on_gap)
        self.monitor = StreamMonitor(cast("NatsConnection", self.connection), replicas=3)
        monkeypatch.setattr(stream_monitor, "provision_streams", self._provision)

    def _on_gap(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    async def _provision(
        self, connection: object, plans: tuple[StreamPlan, ...], *, replicas: int
    ) -> list[str]:
        assert connection is self.connection
        (plan,) = plans
        self.checked.append((plan.name, replicas))
        if plan.name in self.wrong:
            raise ProvisionError(self.wrong[plan.name])
        made = [plan.name] if plan.name in self.missing else []
        self.missing.discard(plan.name)
        return made

    async def check_all(self) -> None:
        for plan in STREAMS:
            await self.monitor._check(plan)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


async def test_usable_streams_are_not_logged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await server.check_all()
    assert server.checked == [(plan.name, 3) for plan in STREAMS]
    assert (caplog.text, server.monitor.problems) == ("", [])


async def test_a_stream_that_was_created_again_is_logged_with_the_loss(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.missing = {plan.name for plan in STREAMS}
    await server.check_all()
    assert len(caplog.records) == len(STREAMS)
    assert f"The stream {EVENTS.name} was missing and was created again" in caplog.text
    assert f"{JOB_STORE.name} was missing and was created again: ALL ITS JOBS" in caplog.text
    assert server.monitor.problems == []


async def test_a_problem_is_logged_once_until_it_changes_or_ends(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for text in ("wrong", "wrong", "worse"):
        server.wrong[EVENTS.name] = text
        await server.check_all()
        assert server.monitor.problems == [text]
    assert [record.message for record in caplog.records] == ["wrong", "worse"]
    server.wrong.clear()
    caplog.clear()
    await server.check_all()
    await server.check_all()
    assert server.monitor.problems == []
    text = f"The stream {EVENTS.name} is usable again"
    assert [record.message for record in caplog.records] == [text]


async def test_a_lost_connection_is_not_a_problem_of_a_stream(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.connection.is_connected = False
    server.wrong[EVENTS.name] = "no answer"
    await server.check_all()
    assert (server.monitor.problems, caplog.text) == ([], "")


def test_streams_are_checked_regularly_and_after_a_reconnect(server: Server) -> None:
    async def check() -> None:
        clock_s = asyncio.get_running_loop().time
        running = asyncio.create_task(server.monitor.run())
        await asyncio.sleep(CHECK_INTERVAL_S * 2.5)
        assert len(server.checked) == 2 * len(STREAMS)
        started_s = clock_s()
        server.listeners[0]()
        while len(server.checked) == 2 * len(STREAMS):
            await asyncio.sleep(0)
        assert clock_s() - started_s < CHECK_INTERVAL_S / 4
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert server.listeners == []

    run_stepped(check())
