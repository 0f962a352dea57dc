"""A worker that receives garbled replies of JetStream retries, or reports that NATS is away."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import repeat
from pathlib import Path

import pytest
import pytest_asyncio

from pylon.events.event_log import EventLog
from pylon.events.event_publisher import EventPublisher
from pylon.events.event_types import neurons_event
from pylon.jetstream import consumer, provision, request_retry
from pylon.jetstream.bucket import ABSENT, Bucket, ConflictError
from pylon.jetstream.consumer import Ack, Acknowledgement, Consumer
from pylon.jetstream.lease import Leases, LeaseTakenError
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import ProvisionError, storage_usage, stream_differences
from pylon.jetstream.stream_monitor import StreamMonitor
from pylon.jetstream.work_queue import WorkQueue
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.topology import (
    EVENTS,
    JOB_QUEUE,
    JOBS_BUCKET,
    LEASE_TTL_S,
    LEASES_BUCKET,
    STREAMS,
)
from pylon_client.contract.types import BlockNumber, IdentityName, JobId, JobKind, NetUid, Revision
from pylon_client.events.stored_events import FeedEvent
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.chain.fake_chain import block_of
from tests.support.nats.garbled_jetstream import GARBAGE, Garbled
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import eventually
from tests.support.product.running_worker import connected
from tests.support.wire.wire_corpus import Corpus

GARBLED_EACH = 2
"""Answers that are replaced before an operation gets a real one."""
MUTATED = 400
SUBJECT = JobSubject(IdentityName("alice"), JobKind.COMMITMENT)
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@pytest_asyncio.fixture
async def connection(tmp_path: Path) -> AsyncGenerator[NatsConnection]:
    async with NatsServer(tmp_path) as server, connected(server.url) as connection:
        await provision.provision_streams(connection)
        yield connection


@pytest.fixture
def garbled(connection: NatsConnection, monkeypatch: pytest.MonkeyPatch) -> Garbled:
    monkeypatch.setattr(request_retry, "RETRY_DELAY_S", 0.0)
    monkeypatch.setattr(consumer, "RETRY_DELAY_S", 0.0)
    monkeypatch.setattr(provision, "RETRY_DELAY_S", 0.0)
    return Garbled(connection, monkeypatch)


def event(number: int) -> FeedEvent:
    return neurons_event(NetUid(1), block_of(number), b"%d" % number)


def job(number: int) -> JobId:
    return JobId("".join(ALPHABET[number // 26**place % 26] for place in range(26)))


async def unless_unavailable(
    answer: Awaitable[object], code: ErrorCode = ErrorCode.NATS_UNAVAILABLE
) -> bool:
    """Return whether there was an answer, rather than the one failure that may come."""
    try:
        await answer
    except FailureError as error:
        if error.code is not code:
            raise
        return False
    return True


async def test_a_write_or_read_is_sent_again_until_jetstream_answers(
    connection: NatsConnection, garbled: Garbled
) -> None:
    bucket, queue = OrderedBucket(connection, JOBS_BUCKET), WorkQueue(connection)
    leases = Leases(Bucket(connection, LEASES_BUCKET), LEASE_TTL_S)
    for number, garbage in enumerate(GARBAGE):

        def garble(garbage: bytes = garbage) -> None:
            garbled.garbage = repeat(garbage, GARBLED_EACH)

        key = f"job.alice.x{number}"
        garble()
        revision = await bucket.put(key, garbage, revision=ABSENT)
        garble()
        found = await bucket.get(key)
        assert found is not None
        assert (found.value, found.revision) == (garbage, revision)
        garble()
        await queue.publish(SUBJECT, job(number))
        garble()
        async with leases.hold("hotkey"):
            pass
        garble()
        assert await provision.provision_streams(connection) == []
        assert next(garbled.garbage, None) is None, "an operation took garbage for an answer"
    garbled.garbage = repeat(b"{}", GARBLED_EACH)
    assert len(await bucket.entries("job.alice")) == len(GARBAGE)
    for reading in (
        bucket.newest_first("job.alice", before=None, count=1000),
        bucket.oldest_first("job.alice", after=ABSENT, count=1000),
    ):
        garbled.garbage = repeat(b"{}", GARBLED_EACH)
        assert len((await reading).entries) == len(GARBAGE)
    state = (await connection.nats.jetstream().stream_info(JOB_QUEUE.name)).state
    assert state.messages == len(GARBAGE)


async def test_an_event_whose_ack_is_garbage_is_published_again_and_stored_once(
    connection: NatsConnection, garbled: Garbled
) -> None:
    events, event_log = EventPublisher(connection), EventLog(connection)
    stored_before = (await connection.nats.jetstream().stream_info(EVENTS.name)).state.last_seq
    for number, garbage in enumerate(GARBAGE, 1):
        garbled.garbage = repeat(garbage, GARBLED_EACH)
        while not await unless_unavailable(events.publish(event(number))):
            pass
        assert next(garbled.garbage, None) is None, f"{garbage!r} was taken for an answer"
        garbled.garbage = repeat(garbage, GARBLED_EACH)
        subject = event(number).subject
        assert not await unless_unavailable(event_log(subject, BlockNumber(0)))
        assert await unless_unavailable(event_log(subject, BlockNumber(0)))
    stored = (await connection.nats.jetstream().stream_info(EVENTS.name)).state.last_seq
    assert stored - stored_before == len(GARBAGE)


async def test_endless_garbage_is_reported_as_nats_unavailable(
    connection: NatsConnection, garbled: Garbled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_retry, "RETRY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(provision, "READY_TIMEOUT_S", 0.05)
    bucket = OrderedBucket(connection, JOBS_BUCKET)
    for garbage in GARBAGE:
        garbled.garbage = repeat(garbage)
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: bucket.get("job.x"),
            lambda: bucket.put("job.x", b"", revision=ABSENT),
            lambda: bucket.entries("job"),
            lambda: bucket.newest_first("job", before=None, count=3),
            lambda: bucket.oldest_first("job", after=ABSENT, count=3),
            lambda: bucket.remove("job.x", Revision(1)),
            lambda: WorkQueue(connection).publish(SUBJECT, job(0)),
            lambda: EventPublisher(connection).publish(event(1)),
            lambda: EventPublisher(connection).last_block(event(1).subject),
        ]
        for operation in operations:
            assert not await unless_unavailable(operation()), garbage
        for reading in (
            provision.provision_streams(connection),
            stream_differences(connection, STREAMS[0]),
            storage_usage(connection),
        ):
            with pytest.raises(ProvisionError):
                await reading


async def test_a_queue_is_processed_although_half_of_the_replies_are_garbage(
    connection: NatsConnection, garbled: Garbled
) -> None:
    corpus = Corpus(3, 200)
    done: list[bytes] = []

    async def work(body: bytes) -> Acknowledgement:
        done.append(body)
        return Ack()

    async def idle() -> None:
        await consumer.is_idle()

    queue = WorkQueue(connection)
    for number in range(20):
        await queue.publish(SUBJECT, job(number))
    garbled.mutate = lambda _: (
        corpus.random.choice(GARBAGE) if corpus.random.random() < 0.5 else None
    )
    consumer = Consumer(
        connection, JOB_QUEUE, name="jobs", subject=str(SUBJECT), handler=work, on_idle=idle
    )
    monitor = StreamMonitor(connection, replicas=1)
    monitoring = asyncio.create_task(monitor.run())
    running = asyncio.create_task(consumer.run())
    await eventually(lambda: len(set(done)) == 20 or running.done() or monitoring.done())
    assert not running.done()
    assert not monitoring.done()
    consumer.stop()
    await running
    monitoring.cancel()
    await asyncio.wait({monitoring})


async def test_replies_with_any_part_replaced_raise_only_known_errors(
    connection: NatsConnection, garbled: Garbled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_retry, "RETRY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(provision, "READY_TIMEOUT_S", 0.2)
    corpus = Corpus(4, 200)
    events, event_log = EventPublisher(connection), EventLog(connection)
    bucket, queue = OrderedBucket(connection, JOBS_BUCKET), WorkQueue(connection)
    leases = Leases(Bucket(connection, LEASES_BUCKET), LEASE_TTL_S)
    outcomes: Counter[bool] = Counter()

    async def lease() -> None:
        with contextlib.suppress(LeaseTakenError):
            async with leases.hold("hotkey"):
                pass

    async def put(number: int) -> None:
        with contextlib.suppress(ConflictError):
            await bucket.put(f"job.{number % 5}", b"", revision=ABSENT)

    async def check() -> None:
        with contextlib.suppress(ProvisionError):
            await provision.provision_streams(connection)

    garbled.mutate = lambda reply: corpus.mutated(reply) if corpus.random.random() < 0.7 else None
    for number in range(1, MUTATED):
        subject = event(number).subject
        for answer in (
            events.publish(event(number)),
            event_log(subject, BlockNumber(number // 2)),
            put(number),
            bucket.get(f"job.{number % 5}"),
            bucket.entries("job"),
            bucket.newest_first("job", before=None, count=3),
            bucket.oldest_first("job", after=ABSENT, count=3),
            bucket.remove(f"job.{number % 5}", Revision(number)),
            unless_unavailable(queue.publish(SUBJECT, job(number)), ErrorCode.OVERLOADED),
            *([check(), lease()] if number % 20 == 0 else []),
        ):
            outcomes[await unless_unavailable(answer)] += 1
    assert min(outcomes[True], outcomes[False]) > MUTATED // 10, outcomes
