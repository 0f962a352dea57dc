import asyncio

import pytest

from pylon.messaging.bucket import ABSENT, Bucket, ConflictError
from pylon.messaging.provision import provision
from pylon_client.contract.topology import JOBS_BUCKET, LEDGER
from pylon_client.contract.types import Revision
from tests.support.deployment import ConnectAs
from tests.support.eventually import comes_true
from tests.support.nats_server import NatsServer


@pytest.fixture
async def bucket(connect_as: ConnectAs) -> Bucket:
    connection = await connect_as("worker")
    await provision(connection, (LEDGER,))
    return Bucket(connection, JOBS_BUCKET)


async def test_a_value_is_set_by_whoever_read_the_newest(bucket: Bucket) -> None:
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


async def test_of_many_who_create_a_key_one_does(bucket: Bucket) -> None:
    async def create(number: int) -> bool:
        try:
            await bucket.put("one", b"%d" % number, revision=ABSENT)
        except ConflictError:
            return False
        return True

    assert sum(await asyncio.gather(*map(create, range(20)))) == 1


async def test_only_what_was_given_a_time_to_live_expires(bucket: Bucket) -> None:
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


async def test_n10_a_write_waits_out_a_server_that_is_away(
    bucket: Bucket, server: NatsServer
) -> None:
    revision = await bucket.put("a", b"1", revision=ABSENT)
    await server.kill()
    writing = asyncio.create_task(bucket.put("a", b"2", revision=revision))
    reading = asyncio.create_task(bucket.get("a"))
    await server.start()
    written = await writing
    await reading
    entry = await bucket.get("a")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"2", written)
