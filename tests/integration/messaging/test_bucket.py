import asyncio

import pytest
import pytest_asyncio
from nats.js.client import JetStreamContext

from pylon.jetstream import request_retry
from pylon.jetstream.bucket import ABSENT, Bucket, ConflictError
from pylon.jetstream.provision import provision_streams
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import Revision
from tests.support.nats.nats_cluster import NatsCluster
from tests.support.nats.replicas import Nats
from tests.support.product.eventually import comes_true

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def bucket(nats: Nats) -> Bucket:
    return Bucket(await nats.provision(JOB_STORE), JOBS_BUCKET)


async def test_a_value_is_set_by_the_writer_that_read_the_newest(bucket: Bucket) -> None:
    assert await bucket.get("a.b") is None
    first = await bucket.put("a.b", b"1", revision=ABSENT)
    second = await bucket.put("a.b", b"2", revision=first)
    assert second > first
    for stale in (ABSENT, first, Revision(second + 1)):
        with pytest.raises(ConflictError):
            await bucket.put("a.b", b"3", revision=stale)
    entry = await bucket.get("a.b")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"2", second)


@pytest.mark.parametrize("same_value", [False, True])
async def test_one_of_many_concurrent_creators_of_a_key_succeeds(
    bucket: Bucket, nats: Nats, *, same_value: bool
) -> None:
    buckets = [Bucket(await nats.connect(first), JOBS_BUCKET) for first in range(4)]

    async def create(key: str, number: int) -> bool:
        value = b"same" if same_value else b"%d" % number
        try:
            await buckets[number % 4].put(key, value, revision=ABSENT)
        except ConflictError:
            return False
        return True

    for key in ("a", "b", "c"):
        assert sum(await asyncio.gather(*(create(key, number) for number in range(20)))) == 1


async def test_every_writer_succeeds_after_reading_again(bucket: Bucket, nats: Nats) -> None:
    buckets = [Bucket(await nats.connect(first), JOBS_BUCKET) for first in range(4)]
    revisions: list[Revision] = []

    async def append(writer: int) -> None:
        for _ in range(5):
            while True:
                entry = await buckets[writer].get("log")
                before = (b"", ABSENT) if entry is None else (entry.value, entry.revision)
                try:
                    value = before[0] + b"%d" % writer
                    revisions.append(await buckets[writer].put("log", value, revision=before[1]))
                except ConflictError:
                    continue
                break

    await asyncio.gather(*map(append, range(4)))
    entry = await bucket.get("log")
    assert entry is not None
    assert sorted(entry.value) == sorted(b"0123" * 5)  # no write was lost, none was made twice
    assert len(set(revisions)) == 20


async def test_a_missing_stream_is_not_an_empty_bucket(
    bucket: Bucket, nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.put("a.b", b"1", revision=ABSENT)
    await JetStreamContext((await nats.connect()).nats).delete_stream(JOB_STORE.name)
    monkeypatch.setattr(request_retry, "RETRY_TIMEOUT_S", 1.0)
    for asking in (bucket.get("a.b"), bucket.entries("a"), bucket.put("a", b"", revision=ABSENT)):
        with pytest.raises(FailureError) as caught:
            await asking
        assert caught.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_a_revision_of_a_deleted_bucket_conflicts_in_its_replacement(
    bucket: Bucket, nats: Nats
) -> None:
    read = [ABSENT]
    for number in range(20):
        read.append(await bucket.put("a", b"%d" % number, revision=read[-1]))
    connection = await nats.connect()
    await JetStreamContext(connection.nats).delete_stream(JOB_STORE.name)
    await provision_streams(connection, (JOB_STORE,), replicas=nats.replicas)
    made_again = await bucket.put("a", b"another", revision=ABSENT)
    assert made_again > read[-1]
    for stale in read:
        with pytest.raises(ConflictError):
            await bucket.put("a", b"late", revision=stale)


async def test_only_values_with_a_ttl_expire(bucket: Bucket) -> None:
    await bucket.put("kept.a", b"1", revision=ABSENT)
    revision = await bucket.put("kept.b", b"1", revision=ABSENT)
    await bucket.put("kept.b", b"2", revision=revision, ttl_s=1)
    await bucket.put("other.c", b"1", revision=ABSENT)
    assert {entry.key for entry in await bucket.entries("kept")} == {"kept.a", "kept.b"}

    async def gone() -> bool:
        return await bucket.get("kept.b") is None

    await comes_true(gone)
    assert [entry.key for entry in await bucket.entries("kept")] == ["kept.a"]
    await bucket.put("kept.b", b"3", revision=ABSENT)


async def test_a_write_is_retried_while_the_server_is_down(bucket: Bucket, nats: Nats) -> None:
    revision = await bucket.put("a", b"1", revision=ABSENT)
    server = nats.servers
    if isinstance(server, NatsCluster):
        server = await server.leader(await nats.connect(), JOB_STORE.name)
    await server.kill()
    writing = asyncio.create_task(bucket.put("a", b"2", revision=revision))
    reading = asyncio.create_task(bucket.get("a"))
    await server.start()
    written = await writing
    await reading
    entry = await bucket.get("a")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"2", written)
