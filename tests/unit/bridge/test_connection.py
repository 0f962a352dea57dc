import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping

import pytest

import bridge.connection
from bridge.connection import BridgeConnection, bridge_connection_options
from bridge.settings import BridgeSettings
from pylon.common.task_supervisor import TaskSupervisor
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection
from pylon_client.nats.nats_reply import Reply
from tests.support.product.eventually import HANGS_AFTER_S

OPTIONS = ConnectionOptions(urls=("nats://127.0.0.1:4222",))


class FakeConnection(NatsConnection):
    def __init__(self) -> None:
        super().__init__(OPTIONS)
        self.request = self._echo_subject

    @property
    def is_connected(self) -> bool:
        return not self.closed.is_set()

    async def _echo_subject(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 1,
    ) -> Reply:
        return Reply(subject.encode(), {})

    async def close(self) -> None:
        self.closed.set()


class FakeConnects:
    """Connects that fail with the given errors, then succeed."""

    def __init__(self, *failures: FailureError) -> None:
        self.failures = list(failures)
        self.made: asyncio.Queue[FakeConnection] = asyncio.Queue()

    async def __call__(self, _options: ConnectionOptions) -> FakeConnection:
        if self.failures:
            raise self.failures.pop(0)
        connection = FakeConnection()
        self.made.put_nowait(connection)
        return connection


@contextlib.asynccontextmanager
async def kept(link: BridgeConnection) -> AsyncGenerator[asyncio.Task[None]]:
    keeping = asyncio.create_task(link.keep_connected())
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            yield keeping
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def ask(link: BridgeConnection) -> bytes:
    return (await link.request("here", b"", headers={}, timeout_s=1)).body


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.connection, "RETRY_INITIAL_DELAY_S", 0.0)
    monkeypatch.setattr(bridge.connection, "RETRY_MAX_DELAY_S", 0.0)


def nats_down() -> FailureError:
    return FailureError(ErrorCode.NATS_UNAVAILABLE, "nobody listens there")


async def test_without_a_connection_a_request_fails_at_once() -> None:
    link = BridgeConnection(OPTIONS, FakeConnects())
    assert not link.is_connected
    with pytest.raises(FailureError) as caught:
        await ask(link)
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_connecting_is_tried_until_it_works_and_complained_about_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = FailureError(ErrorCode.FORBIDDEN, "wrong token")
    connects = FakeConnects(*[nats_down() for _ in range(9)], refused, nats_down())
    link = BridgeConnection(OPTIONS, connects)
    async with kept(link):
        await connects.made.get()
        assert await ask(link) == b"here"
        assert link.is_connected
    assert caplog.text.count("nobody listens there") == 2
    assert caplog.text.count("wrong token") == 1


async def test_a_connection_that_ended_for_good_is_replaced() -> None:
    connects = FakeConnects()
    link = BridgeConnection(OPTIONS, connects)
    async with kept(link):
        first = await connects.made.get()
        first.closed.set()
        second = await connects.made.get()
        assert second is not first
        assert await ask(link) == b"here"
        assert not first.is_connected


async def test_the_connection_is_closed_at_the_end() -> None:
    connects = FakeConnects()
    link = BridgeConnection(OPTIONS, connects)
    async with kept(link):
        connection = await connects.made.get()
    assert connection.closed.is_set()
    assert not link.is_connected


@pytest.mark.parametrize("outcome", ["works", "fails"])
async def test_a_connect_that_swallows_a_cancellation_does_not_keep_it_from_ending(
    outcome: str,
) -> None:
    begun = asyncio.Event()
    connection = FakeConnection()

    async def connect(_options: ConnectionOptions) -> FakeConnection:
        if begun.is_set():
            await asyncio.Event().wait()
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if outcome == "works":
            return connection
        raise nats_down()

    keeping = asyncio.create_task(BridgeConnection(OPTIONS, connect).keep_connected())
    await begun.wait()
    keeping.cancel()
    done, _ = await asyncio.wait([keeping], timeout=HANGS_AFTER_S)
    assert done == {keeping}
    assert keeping.cancelled()
    assert connection.closed.is_set() is (outcome == "works")


async def test_options_that_can_never_work_end_it() -> None:
    link = BridgeConnection(OPTIONS, FakeConnects(FailureError(ErrorCode.INVALID, "no URL")))
    async with kept(link) as keeping:
        with pytest.raises(FailureError, match="no URL"):
            await keeping


def test_a_bridge_connects_as_the_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_NATS_URL", "nats://a:1, nats://b:2")
    monkeypatch.setenv("PYLON_NATS_BRIDGE_PASSWORD", "secret")
    options = bridge_connection_options(BridgeSettings())
    assert options.urls == ("nats://a:1", "nats://b:2")
    assert (options.user, options.password) == ("bridge", "secret")
    assert "secret" not in repr(options)


async def test_a_link_that_fails_is_made_again() -> None:
    tries = 0
    made = asyncio.Event()

    async def connect(_: ConnectionOptions) -> NatsConnection:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise TypeError("no failure of a connect")
        made.set()
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "down")

    supervisor = TaskSupervisor(initial_delay_s=0.0)
    link = BridgeConnection(OPTIONS, connect)
    keeping = asyncio.create_task(supervisor.supervise("connection to NATS", link.keep_connected))
    await made.wait()
    assert supervisor.restarts["connection to NATS"] == 2
    keeping.cancel()
    await asyncio.wait({keeping})
    assert keeping.cancelled()
