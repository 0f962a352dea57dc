"""Reading a bucket in the order of its writes, on one server and on three."""

import asyncio
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from nats.js.client import JetStreamContext

from pylon.jetstream import ordered_bucket, request_retry
from pylon.jetstream.bucket import ABSENT
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import provision_streams
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import Revision
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.replicas import Nats

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def bucket(nats: Nats) -> OrderedBucket:
    return OrderedBucket(await nats.provision(JOB_STORE), JOBS_BUCKET)


async def newest_first(bucket: OrderedBucket, prefix: str, count: int) -> list[bytes]:
    """The values of all pages together."""
    found: list[bytes] = []
    before: Revision | None = None
    while True:
        page = await bucket.newest_first(prefix, before=before, count=count)
        assert len(page.entries) <= count
        found += [entry.value for entry in page.entries]
        if page.is_last:
            return found
        before = page.entries[-1].revision


async def oldest_first(bucket: OrderedBucket, prefix: str, count: int) -> list[bytes]:
    found: list[bytes] = []
    after = ABSENT
    while True:
        page = await bucket.oldest_first(prefix, after=after, count=count)
        found += [entry.value for entry in page.entries]
        if page.is_last:
            return found
        after = page.entries[-1].revision


@pytest.mark.parametrize("count", [1, 3, 40, 1000])
async def test_pages_have_every_entry_once_and_in_the_order_of_writes(
    bucket: OrderedBucket, count: int
) -> None:
    random = Random(count)  # noqa: S311 -- guards nothing
    revisions: dict[str, Revision] = {}
    written: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    # Long runs of others lie between those of one prefix, and old revisions are gone.
    for prefix in ["b"] * 60 + ["a"] + ["b"] * 90 + random.choices("ab", k=150):
        key = f"{prefix}.{random.randrange(60)}"
        value = key.encode()
        revisions[key] = await bucket.put(key, value, revision=revisions.get(key, ABSENT))
        if key in written[prefix]:
            written[prefix].remove(key)
        written[prefix].append(key)
    for prefix, keys in written.items():
        expected = [key.encode() for key in keys]
        assert await newest_first(bucket, prefix, count) == expected[::-1]
        assert await oldest_first(bucket, prefix, count) == expected


async def test_large_values_make_short_pages(
    bucket: OrderedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered_bucket, "MAX_BATCH_BYTES", 5000)
    values = [b"%d" % number * 2000 for number in range(8)]
    for number, value in enumerate(values):
        await bucket.put(f"a.{number}", value, revision=ABSENT)
    page = await bucket.newest_first("a", before=None, count=100)
    assert 1 <= len(page.entries) < 8
    assert not page.is_last
    assert await newest_first(bucket, "a", 100) == values[::-1]
    assert await oldest_first(bucket, "a", 100) == values


async def test_a_write_is_visible_at_once_on_every_server(nats: Nats) -> None:
    await nats.provision(JOB_STORE)
    buckets = [OrderedBucket(await nats.connect(first), JOBS_BUCKET) for first in range(3)]
    for number in range(100):
        key, value = f"a.{number}", b"%d" % number
        await buckets[number % 3].put(key, value, revision=ABSENT)
        for bucket in buckets:
            page = await bucket.newest_first("a", before=None, count=3)
            expected = [b"%d" % one for one in range(max(number - 2, 0), number + 1)]
            assert [entry.value for entry in page.entries] == expected[::-1]


async def test_an_entry_that_changes_between_two_pages_is_in_a_later_one(
    bucket: OrderedBucket,
) -> None:
    revisions = [await bucket.put(f"a.{n}", b"old", revision=ABSENT) for n in range(6)]
    page = await bucket.oldest_first("a", after=ABSENT, count=3)
    await bucket.put("a.4", b"new", revision=revisions[4])
    following = await bucket.oldest_first("a", after=page.entries[-1].revision, count=10)
    assert [entry.key for entry in following.entries] == ["a.3", "a.5", "a.4"]


async def test_headers_like_those_of_jetstream_do_not_mislead(
    bucket: OrderedBucket, nats: Nats
) -> None:
    stream = JetStreamContext((await nats.connect()).nats)
    await bucket.put("a.1", b"1", revision=ABSENT)
    for headers in ({"Status": "204"}, {"Status": "404"}, {"Nats-Other": "7"}):
        await stream.publish(f"$KV.{JOBS_BUCKET}.a.{len(headers)}x", b"odd", headers=headers)
    await bucket.put("a.2", b"2", revision=ABSENT)
    assert (await newest_first(bucket, "a", 10))[0] == b"2"
    assert (await newest_first(bucket, "a", 10))[-1] == b"1"
    assert (await oldest_first(bucket, "a", 10))[-1] == b"2"


async def test_a_missing_stream_is_not_an_empty_page(
    bucket: OrderedBucket, nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.put("a.b", b"1", revision=ABSENT)
    await JetStreamContext((await nats.connect()).nats).delete_stream(JOB_STORE.name)
    monkeypatch.setattr(request_retry, "RETRY_TIMEOUT_S", 1.0)
    for asking in (
        bucket.newest_first("a", before=None, count=1),
        bucket.oldest_first("a", after=ABSENT, count=1),
        bucket.keys("a"),
        bucket.remove("a.b", Revision(1)),
    ):
        with pytest.raises(FailureError) as caught:
            await asking
        assert caught.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_only_the_revision_that_was_read_is_removed(
    bucket: OrderedBucket, nats: Nats
) -> None:
    old = await bucket.put("a.b", b"1", revision=ABSENT)
    new = await bucket.put("a.b", b"2", revision=old)
    await bucket.remove("a.b", old)
    assert [entry.value for entry in await bucket.entries("a")] == [b"2"]
    await asyncio.gather(*(bucket.remove("a.b", new) for _ in range(3)))
    assert await bucket.get("a.b") is None
    assert await bucket.keys("a") == []
    connection = await nats.connect()
    await JetStreamContext(connection.nats).delete_stream(JOB_STORE.name)
    await provision_streams(connection, (JOB_STORE,), replicas=nats.replicas)
    again = await bucket.put("a.b", b"3", revision=ABSENT)
    await bucket.remove("a.b", new)
    entry = await bucket.get("a.b")
    assert entry is not None
    assert entry.revision == again


async def test_a_removal_does_not_rewrite_the_block_of_messages(tmp_path: Path) -> None:
    """Overwriting the removed bytes would delay every write of the stream."""
    async with NatsServer(tmp_path) as server:
        connection = await connect(ConnectionOptions((server.url,)))
        await provision_streams(connection, (JOB_STORE,))
        own = OrderedBucket(connection, JOBS_BUCKET)
        removed = await own.put("a.b", b"these bytes remain", revision=ABSENT)
        await own.put("a.c", b"another entry", revision=ABSENT)
        await own.remove("a.b", removed)
        assert await own.keys("a") == ["a.c"]
        await connection.close()
    assert b"these bytes remain" in _stored_bytes(tmp_path)


def _stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*.blk"))
