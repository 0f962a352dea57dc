import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from nats.js.client import JetStreamContext

from pylon.jetstream.consumer import Ack, Acknowledgement, Consumer, MessageHandler, Nak, Term
from pylon.jetstream.provision import provision_streams
from pylon_client.contract.subjects import JobSubject, identity_jobs
from pylon_client.contract.topology import JOB_QUEUE
from pylon_client.contract.types import IdentityName, JobKind
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import ConnectAs
from tests.support.product.eventually import comes_true

ALICE = IdentityName("alice")
NAME = "commitment_alice"
SUBJECT = str(JobSubject(ALICE, JobKind.COMMITMENT))


@pytest.fixture
async def connection(connect_as: ConnectAs) -> NatsConnection:
    connection = await connect_as("worker")
    await provision_streams(connection, (JOB_QUEUE,))
    return connection


@dataclass
class Work:
    """Deals with messages, and remembers in what order and how many at once."""

    verdicts: dict[bytes, list[Acknowledgement]] = field(default_factory=dict)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[bytes] = field(default_factory=list)
    now: int = 0
    most: int = 0

    async def __call__(self, body: bytes) -> Acknowledgement:
        self.seen.append(body)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.hold.wait()
        finally:
            self.now -= 1
        left = self.verdicts.get(body)
        return left.pop(0) if left else Ack()

    def has(self, body: bytes) -> Callable[[], Awaitable[bool]]:
        async def check() -> bool:
            return body in self.seen

        return check

    def saw(self, *bodies: bytes) -> Callable[[], Awaitable[bool]]:
        async def check() -> bool:
            return self.seen == list(bodies)

        return check


@asynccontextmanager
async def consuming(
    connection: NatsConnection, handler: MessageHandler, *, ack_wait_s: float = 30.0
) -> AsyncGenerator[Consumer]:
    consumer = Consumer(
        connection,
        JOB_QUEUE,
        name=NAME,
        subject=identity_jobs(ALICE, JobKind.COMMITMENT),
        handler=handler,
        ack_wait_s=ack_wait_s,
    )
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        running.cancel()
        await asyncio.wait({running})


async def publish(connection: NatsConnection, *bodies: bytes) -> None:
    for body in bodies:
        await JetStreamContext(connection.nats).publish(SUBJECT, body)


async def stored(connection: NatsConnection) -> int:
    return (await JetStreamContext(connection.nats).stream_info(JOB_QUEUE.name)).state.messages


def open_work() -> Work:
    work = Work()
    work.hold.set()
    return work


async def test_each_worker_processes_one_message_at_a_time(
    connection: NatsConnection, connect_as: ConnectAs
) -> None:
    one, other = Work(), Work()
    async with consuming(connection, one), consuming(await connect_as("worker"), other):
        await publish(connection, b"1", b"2", b"3")

        async def both_have_one() -> bool:
            return {*one.seen, *other.seen} == {b"1", b"2"}

        await comes_true(both_have_one)
        one.hold.set()
        other.hold.set()

        async def all_seen() -> bool:
            return sorted([*one.seen, *other.seen]) == [b"1", b"2", b"3"]

        await comes_true(all_seen)
    assert (one.most, other.most) == (1, 1)


async def test_a_delayed_message_is_redelivered_and_does_not_delay_later_ones(
    connection: NatsConnection,
) -> None:
    work = open_work()
    work.verdicts[b"1"] = [Nak(0.5), Nak(0.0)]
    async with consuming(connection, work):
        await publish(connection, b"1", b"2")
        await comes_true(work.saw(b"1", b"2", b"1", b"1"))

        async def empty() -> bool:
            return await stored(connection) == 0

        await comes_true(empty)


async def test_a_terminated_message_leaves_the_queue(
    connection: NatsConnection,
) -> None:
    work = open_work()
    work.verdicts[b"1"] = [Term()]
    async with consuming(connection, work):
        await publish(connection, b"1", b"2")
        await comes_true(work.saw(b"1", b"2"))

        async def empty() -> bool:
            return await stored(connection) == 0

        await comes_true(empty)


async def test_a_job_longer_than_three_ack_waits_runs_once(connection: NatsConnection) -> None:
    work = Work()
    ack_wait_s = 3.0
    async with consuming(connection, work, ack_wait_s=ack_wait_s) as consumer:
        await publish(connection, b"1")
        await comes_true(work.saw(b"1"))
        # The length of the job is what is tested here.
        await asyncio.sleep(3.5 * ack_wait_s)
        work.hold.set()

        async def idle() -> bool:
            return await consumer.is_idle()

        await comes_true(idle)
    assert work.seen == [b"1"]


async def test_the_next_job_is_consumed_after_the_server_was_killed(
    connection: NatsConnection, server: NatsServer
) -> None:
    work = open_work()
    async with consuming(connection, work):
        await publish(connection, b"1")
        await comes_true(work.saw(b"1"))
        for number in (b"2", b"3"):
            await server.restart()

            async def connected() -> bool:
                return connection.is_connected

            await comes_true(connected)
            await publish(connection, number)
            await comes_true(work.has(number))


async def test_a_deleted_consumer_is_created_again(connection: NatsConnection) -> None:
    work = open_work()
    async with consuming(connection, work):
        await publish(connection, b"1")

        async def acknowledged() -> bool:
            return work.seen == [b"1"] and await stored(connection) == 0

        await comes_true(acknowledged)  # otherwise it would rightly come again
        await JetStreamContext(connection.nats).delete_consumer(JOB_QUEUE.name, NAME)
        await publish(connection, b"2")
        await comes_true(work.saw(b"1", b"2"))


async def test_a_consumer_created_again_with_its_stream_calls_back_once(
    connection: NatsConnection, server: NatsServer
) -> None:
    work = open_work()
    work.verdicts[b"put off"] = [Nak(3600.0)]
    remade = asyncio.Semaphore(0)

    async def on_remade() -> None:
        remade.release()

    consumer = Consumer(
        connection, JOB_QUEUE, name=NAME, subject=SUBJECT, handler=work, on_recreated=on_remade
    )
    running = asyncio.create_task(consumer.run())
    await publish(connection, b"1")
    await comes_true(work.has(b"1"))
    # A server that comes back with its streams has the same consumer.
    await server.restart()
    await comes_true(lambda: is_connected(connection))
    await publish(connection, b"2")
    await comes_true(work.has(b"2"))
    assert remade.locked()

    await JetStreamContext(connection.nats).delete_stream(JOB_QUEUE.name)
    await provision_streams(connection, (JOB_QUEUE,))
    # A message that waits in the new stream holds nothing up.
    await publish(connection, b"put off")
    await remade.acquire()
    await comes_true(work.has(b"put off"))
    await publish(connection, b"3")
    await comes_true(work.has(b"3"))
    consumer.stop()
    await running
    assert remade.locked()


async def is_connected(connection: NatsConnection) -> bool:
    return connection.is_connected


async def test_empty_fetches_do_not_lose_messages(
    connection: NatsConnection,
) -> None:
    work = open_work()
    idle = asyncio.Event()

    async def on_idle() -> None:
        idle.set()

    consumer = Consumer(
        connection, JOB_QUEUE, name=NAME, subject=SUBJECT, handler=work, on_idle=on_idle
    )
    running = asyncio.create_task(consumer.run())
    for number in range(3):
        idle.clear()
        await idle.wait()
        await publish(connection, b"%d" % number)
        await comes_true(work.saw(*(b"%d" % n for n in range(number + 1))))
    consumer.stop()
    await running


async def test_a_cancelled_consumer_releases_its_message_at_once(
    connection: NatsConnection,
) -> None:
    stuck, next_one = Work(), open_work()
    async with consuming(connection, stuck):
        await publish(connection, b"1")
        await comes_true(stuck.saw(b"1"))
    async with consuming(connection, next_one):
        await comes_true(next_one.saw(b"1"))


async def test_a_stopped_consumer_finishes_its_message(
    connection: NatsConnection,
) -> None:
    work = Work()
    consumer = Consumer(connection, JOB_QUEUE, name=NAME, subject=SUBJECT, handler=work)
    running = asyncio.create_task(consumer.run())
    await publish(connection, b"1", b"2")
    await comes_true(work.saw(b"1"))
    consumer.stop()
    work.hold.set()
    await running
    assert work.seen == [b"1"]

    async def one_is_left() -> bool:
        return await stored(connection) == 1

    await comes_true(one_is_left)


async def test_an_unexpected_error_is_logged_and_its_message_redelivered(
    connection: NatsConnection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pylon.jetstream.consumer.HANDLER_ERROR_DELAY_S", 0.1)
    times = 0

    async def break_once(_body: bytes) -> Acknowledgement:
        nonlocal times
        times += 1
        if times == 1:
            raise RuntimeError("unforeseen")
        return Ack()

    async with consuming(connection, break_once) as consumer:
        await publish(connection, b"1")

        async def idle() -> bool:
            return times == 2 and await consumer.is_idle()

        await comes_true(idle)
    assert "the handler of a message failed" in caplog.text
