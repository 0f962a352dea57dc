"""Messages of a work queue one at a time, with a queue in memory."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import nats.errors
import pytest

from pylon.jetstream import consumer as consumer_module
from pylon.jetstream.consumer import (
    ACK_WAIT_S,
    FETCH_TIMEOUT_S,
    HANDLER_ERROR_DELAY_S,
    HEARTBEATS_PER_ACK_WAIT,
    MAX_ACK_PENDING,
    Ack,
    Acknowledgement,
    Consumer,
    MessageHandler,
    Nak,
    Term,
)
from pylon_client.contract.topology import JOB_QUEUE
from tests.support.product.stepped_loop import run_stepped

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeMessage:
    data: bytes
    acks: list[str]
    reply: str = "$JS.ACK.1"

    async def ack(self) -> None:
        self.acks.append(f"{self.data.decode()} ack")

    async def nak(self, delay: float | None = None) -> None:
        self.acks.append(f"{self.data.decode()} nak {delay}")

    async def term(self) -> None:
        self.acks.append(f"{self.data.decode()} term")

    async def in_progress(self) -> None:
        self.acks.append(f"{self.data.decode()} in progress")


@dataclass
class FakeQueue:
    """The JetStream context of a consumer, its connection and its subscriptions.

    Attributes:
        fetched: results of the next fetches: a body, a message or an exception.
    """

    fetched: list[Any] = field(default_factory=list)
    created: datetime | None = CREATED
    acks: list[str] = field(default_factory=list)
    configs: list[Any] = field(default_factory=list)
    subscriptions: int = 0
    unsubscribed: int = 0
    idle: int = 0
    recreated: int = 0
    gap: Callable[[], None] | None = None
    pending: tuple[int, int] = (0, 0)

    def consumer(self, handler: MessageHandler) -> Consumer:
        connection = SimpleNamespace(nats=SimpleNamespace(), on_gap=self._on_gap)
        made = Consumer(
            cast("NatsConnection", connection),
            JOB_QUEUE,
            name="durable",
            subject="filter",
            handler=handler,
            on_idle=self._on_idle,
            on_recreated=self._on_recreated,
        )
        made._context = cast("Any", self)
        self.running = made
        return made

    def _on_gap(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.gap = listener

        def remove() -> None:
            self.gap = None

        return remove

    async def _on_idle(self) -> None:
        self.idle += 1

    async def _on_recreated(self) -> None:
        self.recreated += 1

    async def add_consumer(self, stream: str, config: Any) -> None:
        assert stream == JOB_QUEUE.name
        self.configs.append(config)

    async def consumer_info(self, stream: str, name: str) -> Any:
        assert (stream, name) == (JOB_QUEUE.name, "durable")
        num_pending, num_ack_pending = self.pending
        return SimpleNamespace(
            created=self.created, num_pending=num_pending, num_ack_pending=num_ack_pending
        )

    async def pull_subscribe_bind(self, *, consumer: str, stream: str) -> "FakeQueue":
        assert (stream, consumer) == (JOB_QUEUE.name, "durable")
        self.subscriptions += 1
        return self

    async def fetch(self, batch: int = 1, timeout: float | None = 5) -> list[Any]:  # noqa: ASYNC109 -- the library's own
        assert (batch, timeout) == (1, FETCH_TIMEOUT_S)
        if not self.fetched:
            self.running.stop()
            raise nats.errors.TimeoutError
        found = self.fetched.pop(0)
        if callable(found):
            found = found()
        if isinstance(found, BaseException):
            raise found
        return [FakeMessage(found, self.acks) if isinstance(found, bytes) else found]

    async def unsubscribe(self) -> None:
        self.unsubscribed += 1


async def acknowledge(body: bytes) -> Acknowledgement:
    return {b"later": Nak(7.5), b"never": Term()}.get(body, Ack())


def consumed(queue: FakeQueue, handler: Any = acknowledge) -> FakeQueue:
    """Run a consumer until its queue is empty."""
    run_stepped(run_consumer(queue, handler))
    return queue


async def run_consumer(queue: FakeQueue, handler: Any = acknowledge) -> None:
    await queue.consumer(handler).run()


def test_each_message_is_acknowledged_as_its_handler_says() -> None:
    queue = consumed(FakeQueue([b"now", b"later", b"never"]))
    assert queue.acks == ["now ack", "later nak 7.5", "never term"]
    assert (queue.subscriptions, queue.unsubscribed, queue.gap) == (1, 1, None)


def test_the_durable_consumer_redelivers_without_a_limit() -> None:
    (config,) = consumed(FakeQueue()).configs
    assert (config.durable_name, config.filter_subject) == ("durable", "filter")
    assert (config.max_deliver, config.max_ack_pending) == (-1, MAX_ACK_PENDING)
    assert config.ack_wait == ACK_WAIT_S
    assert str(config.ack_policy).endswith("EXPLICIT")


def test_an_empty_fetch_calls_back_unless_the_consumer_stops() -> None:
    queue = consumed(FakeQueue([nats.errors.TimeoutError(), nats.errors.TimeoutError()]))
    assert (queue.idle, queue.subscriptions) == (2, 1)


@pytest.mark.parametrize(
    "fault",
    [
        nats.errors.ConnectionClosedError(),
        ConnectionError("broken"),
        ValueError("an unreadable reply"),
        FakeMessage(b"x", [], reply="_INBOX.other"),
    ],
)
def test_a_failed_fetch_is_followed_by_a_new_subscription(fault: Any) -> None:
    queue = consumed(FakeQueue([fault, b"1"]))
    assert queue.acks == ["1 ack"]
    assert (queue.subscriptions, queue.unsubscribed) == (2, 2)
    assert len(queue.configs) == 2, "the durable consumer is checked again"


def test_after_a_gap_the_consumer_subscribes_again() -> None:
    queue = FakeQueue()

    def reconnected() -> bytes:
        assert queue.gap is not None
        queue.gap()
        return b"1"

    queue.fetched = [reconnected, b"2"]
    consumed(queue)
    assert queue.acks == ["1 ack", "2 ack"]
    assert (queue.subscriptions, queue.unsubscribed) == (2, 2)


@pytest.mark.parametrize(("later", "times"), [(timedelta(), 0), (timedelta(seconds=1), 1)])
def test_a_consumer_that_was_created_again_calls_back(later: timedelta, times: int) -> None:
    queue = FakeQueue()

    def lost() -> Exception:
        queue.created = CREATED + later
        return nats.errors.ConnectionClosedError()

    queue.fetched = [lost, b"1", lost, b"2"]
    consumed(queue)
    assert (queue.recreated, queue.subscriptions) == (times, 3)


def test_a_consumer_without_a_time_is_requested_again() -> None:
    queue = FakeQueue([b"1"], created=None)
    read = queue.consumer_info

    async def info(stream: str, name: str) -> Any:
        found = await read(stream, name)
        queue.created = CREATED
        return found

    queue.consumer_info = info  # type: ignore[method-assign]
    consumed(queue)
    assert (queue.acks, len(queue.configs), queue.recreated) == (["1 ack"], 2, 0)


def test_a_long_handler_signals_progress() -> None:
    async def work(_: bytes) -> Acknowledgement:
        await asyncio.sleep(ACK_WAIT_S * 1.1)
        return Ack()

    queue = consumed(FakeQueue([b"1"]), work)
    assert queue.acks == ["1 in progress"] * HEARTBEATS_PER_ACK_WAIT + ["1 ack"]


def test_an_unexpected_error_is_logged_once_and_its_message_redelivered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: bytes) -> Acknowledgement:
        raise RuntimeError("unforeseen")

    with caplog.at_level(logging.ERROR):
        queue = consumed(FakeQueue([b"1", b"2"]), fail)
    assert queue.acks == [f"{body} nak {HANDLER_ERROR_DELAY_S}" for body in (1, 2)]
    assert caplog.text.count("durable: the handler of a message failed") == 1


def test_a_cancelled_consumer_returns_its_message_at_once() -> None:
    async def check() -> None:
        started = asyncio.Event()

        async def wait(_: bytes) -> Acknowledgement:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        queue = FakeQueue([b"1"])
        running = asyncio.create_task(run_consumer(queue, wait))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert queue.acks == ["1 nak None"]
        assert (queue.unsubscribed, queue.gap) == (1, None)

    run_stepped(check())


def test_a_stopped_consumer_finishes_its_message() -> None:
    queue = FakeQueue([b"1", b"2"])

    async def stop(_: bytes) -> Acknowledgement:
        queue.running.stop()
        return Ack()

    consumed(queue, stop)
    assert (queue.acks, len(queue.fetched)) == (["1 ack"], 1)


def test_a_stop_ends_the_pause_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "RETRY_DELAY_S", 3600.0)

    async def check() -> None:
        queue = FakeQueue([ConnectionError("broken")])
        running = asyncio.create_task(run_consumer(queue))
        await asyncio.sleep(1)
        queue.running.stop()
        await running
        assert asyncio.get_running_loop().time() < 60

    run_stepped(check())


def test_a_lost_acknowledgement_does_not_end_the_consumer() -> None:
    queue = FakeQueue()

    class Unacknowledged(FakeMessage):
        async def ack(self) -> None:
            raise nats.errors.ConnectionClosedError

    queue.fetched = [Unacknowledged(b"1", queue.acks), b"2"]
    consumed(queue)
    assert (queue.acks, queue.subscriptions) == (["2 ack"], 1)


@pytest.mark.parametrize(("pending", "is_idle"), [((0, 0), True), ((1, 0), False), ((0, 1), False)])
async def test_a_queue_is_idle_without_queued_messages_and_messages_in_progress(
    pending: tuple[int, int],
    is_idle: bool,  # noqa: FBT001 -- a parameter
) -> None:
    queue = FakeQueue(pending=pending)
    assert await queue.consumer(acknowledge).is_idle() is is_idle
