"""Random replies of JetStream and vanishing streams: each write is reported truthfully."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pylon.events.event_publisher import EventPublisher
from pylon.events.event_types import neurons_event
from pylon.jetstream import request_retry
from pylon.jetstream.bucket import ABSENT, Bucket, ConflictError
from pylon.jetstream.request_retry import retry_while_unavailable
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import NetUid, Revision
from tests.support.chain.fake_chain import block_of
from tests.support.nats.scripted_jetstream import Fault, ScriptedJetStream
from tests.support.product.eventually import HANGS_AFTER_S

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

SCHEDULES = 200
WRITERS = 3
WRITES = 6
FAULTS = 40
KEYS = ("job.a", "lane.a")
BLOCKS = range(1, 9)


@dataclass(frozen=True)
class Put:
    """A write that was answered.

    Attributes:
        gave: the revision that it returned; None for a conflict.
        vanished: whether the stream did so meanwhile.
        conflicts_with: the key's revision when it was answered.
        stored_by_then: the messages that the stream had stored when it was answered.
    """

    key: str
    value: bytes
    revision: Revision
    gave: Revision | None
    vanished: bool
    conflicts_with: int
    stored_by_then: int


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_retry, "RETRY_DELAY_S", 0.0)
    monkeypatch.setattr(request_retry, "MAX_IN_FLIGHT_DELAY_S", 0.0)
    monkeypatch.setattr(request_retry, "RETRY_TIMEOUT_S", HANGS_AFTER_S)


def connection_to(stream: ScriptedJetStream) -> "NatsConnection":
    return cast(
        "NatsConnection", SimpleNamespace(is_connected=True, nats=stream, max_payload_bytes=1_000)
    )


async def write(stream: ScriptedJetStream, name: str, number: int) -> list[Put]:
    """Read and set a key repeatedly."""
    bucket = Bucket(connection_to(stream), "bucket")
    chance = Random(f"{name}-{number}")  # noqa: S311 -- guards nothing
    puts: list[Put] = []
    for count in range(WRITES):
        key, value = chance.choice(KEYS), f"{name}-{count}".encode()
        entry = await bucket.get(key)
        revision = ABSENT if entry is None else entry.revision
        life = stream.life
        try:
            gave = await bucket.put(key, value, revision=revision)
        except ConflictError:
            gave = None
        newest = stream.newest(f"$KV.bucket.{key}")
        now = 0 if newest is None else newest.sequence
        vanished = stream.life != life
        puts.append(Put(key, value, revision, gave, vanished, now, len(stream.stored)))
    return puts


def check(put: Put, stream: ScriptedJetStream) -> None:
    places = [place for place, one in enumerate(stream.stored) if one.body == put.value]
    lives = Counter(stream.stored[place].life for place in places)
    assert set(lives.values()) <= {1}, f"{put} was stored more than once"
    assert all(place < put.stored_by_then for place in places), f"{put} was stored afterwards"
    if put.gave is None:
        assert put.vanished or put.conflicts_with != put.revision, f"{put} met no other"
        return
    assert places, f"{put} is nowhere"
    one = stream.stored[places[-1]]
    assert one.sequence == put.gave
    before = [
        other.sequence
        for other in stream.stored[: places[-1]]
        if other.subject == one.subject and other.life == one.life
    ]
    assert before[-1:] == ([put.revision] if put.revision else []), f"{put} overwrote another"


@pytest.mark.integration  # hundreds of schedules
async def test_every_put_reports_success_or_conflict_truthfully() -> None:
    met: Counter[Fault] = Counter()
    outcomes: Counter[bool] = Counter()
    for number in range(SCHEDULES):
        stream = ScriptedJetStream(number, FAULTS)
        writing = (write(stream, f"writer{each}", number) for each in range(WRITERS))
        for put in [put for puts in await asyncio.gather(*writing) for put in puts]:
            check(put, stream)
            outcomes[put.gave is not None] += 1
        met.update(stream.met)
    assert set(met) == set(Fault)
    assert min(outcomes[True], outcomes[False]) > SCHEDULES


async def publish(stream: ScriptedJetStream) -> None:
    """Publish blocks as a publisher does: retry the same event after a failure."""
    events = EventPublisher(connection_to(stream))
    for block in BLOCKS:
        event = neurons_event(NetUid(1), block_of(block), b"%d" % block)
        while True:
            try:
                await events.publish(event)
            except FailureError as error:
                assert error.code is ErrorCode.NATS_UNAVAILABLE  # noqa: PT017 -- not to be raised
            else:
                break


@pytest.mark.integration  # the same
async def test_events_of_two_publishers_come_once_and_in_order() -> None:
    for number in range(SCHEDULES):
        stream = ScriptedJetStream(number, FAULTS)
        await asyncio.gather(publish(stream), publish(stream))
        blocks: dict[int, list[int]] = {}
        for one in stream.stored:
            blocks.setdefault(one.life, []).append(int(one.headers[headers.BLOCK_NUMBER]))
        for stored in blocks.values():
            assert stored == sorted(set(stored)), f"schedule {number}: {blocks}"
        if stream.life in blocks:
            assert blocks[stream.life][-1] == BLOCKS[-1]
        if stream.life == 0:
            assert blocks == {0: [*BLOCKS]}


async def test_a_response_that_arrives_with_a_cancellation_is_not_returned() -> None:
    requested = asyncio.Event()

    async def send() -> bytes:
        requested.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return b"the response arrived at the same moment"
        raise AssertionError

    task = asyncio.create_task(retry_while_unavailable(send, "JetStream"))
    await requested.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
