"""Leases over a bucket in memory, with a clock that takes no time."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from pylon.jetstream.bucket import ABSENT, Bucket, ConflictError, Entry
from pylon.jetstream.lease import (
    RENEWALS_PER_TTL,
    SAFE_TTL_FRACTION,
    LeaseLostError,
    Leases,
    LeaseTakenError,
)
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import Revision
from tests.support.product.stepped_loop import run_stepped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TTL_S = 10.0
UNAVAILABLE = FailureError(ErrorCode.NATS_UNAVAILABLE, "NATS is down.")


class MemoryBucket:
    """Entries by key that expire after `TTL_S`; writes fail while `failure` is set."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Entry, float]] = {}
        self.failure: FailureError | None = None
        self.writes = 0
        self._revision = 0

    async def get(self, key: str) -> Entry | None:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        entry, expires_at_s = self.entries.get(key, (None, 0.0))
        return entry if asyncio.get_running_loop().time() < expires_at_s else None

    async def put(self, key: str, value: bytes, *, revision: Revision) -> Revision:
        found = await self.get(key)
        if revision != (ABSENT if found is None else found.revision):
            raise ConflictError(key)
        self.writes += 1
        self._revision += 1
        entry = Entry(key, value, Revision(self._revision))
        self.entries[key] = (entry, asyncio.get_running_loop().time() + TTL_S)
        return entry.revision

    def leases(self) -> Leases:
        return Leases(cast("Bucket", self), TTL_S)


def run(check: "Callable[[MemoryBucket, Leases], Awaitable[None]]") -> None:
    async def with_bucket() -> None:
        bucket = MemoryBucket()
        await check(bucket, bucket.leases())

    run_stepped(with_bucket())


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_a_lease_has_one_holder_and_is_free_after_its_release() -> None:
    async def check(bucket: MemoryBucket, leases: Leases) -> None:
        assert not await leases.is_held("key")
        async with leases.hold("key") as lease:
            assert await leases.is_held("key")
            assert not await leases.is_held("other")
            with pytest.raises(LeaseTakenError):
                await bucket.leases().hold("key").__aenter__()
            async with leases.hold("other"):
                pass
        assert not await leases.is_held("key")
        async with bucket.leases().hold("key") as later:
            assert later.fencing_token > lease.revision

    run(check)


def test_a_held_lease_is_renewed() -> None:
    async def check(bucket: MemoryBucket, leases: Leases) -> None:
        async with leases.hold("key") as lease:
            token = lease.fencing_token
            await asyncio.sleep(3 * TTL_S)
            assert await leases.is_held("key")
            assert 2 * RENEWALS_PER_TTL < bucket.writes <= 3 * RENEWALS_PER_TTL + 1
            assert lease.revision > lease.fencing_token == token

    run(check)


def test_a_lease_is_released_when_its_body_fails() -> None:
    async def check(_: MemoryBucket, leases: Leases) -> None:
        for error in (ValueError("x"), TimeoutError("the body's own")):
            with pytest.raises(type(error), match=str(error)):
                async with leases.hold("key"):
                    raise error
            assert not await leases.is_held("key")

    run(check)


def test_a_body_is_cancelled_before_a_lease_that_cannot_be_renewed_expires() -> None:
    async def check(bucket: MemoryBucket, leases: Leases) -> None:
        async def hold() -> None:
            async with leases.hold("key"):
                bucket.failure = UNAVAILABLE
                await asyncio.sleep(5 * TTL_S)

        held_at_s = now_s()
        with pytest.raises(LeaseLostError, match="key"):
            await hold()
        assert now_s() - held_at_s == pytest.approx(TTL_S * SAFE_TTL_FRACTION, abs=0.1)

    run(check)


def test_a_short_outage_does_not_lose_a_lease() -> None:
    async def check(bucket: MemoryBucket, leases: Leases) -> None:
        async with leases.hold("key"):
            bucket.failure = UNAVAILABLE
            await asyncio.sleep(TTL_S / 2)
            bucket.failure = None
            await asyncio.sleep(2 * TTL_S)
            assert await leases.is_held("key")

    run(check)


def test_a_body_is_cancelled_at_the_first_renewal_after_another_took_the_lease() -> None:
    async def check(bucket: MemoryBucket, leases: Leases) -> None:
        async def hold() -> None:
            async with leases.hold("key") as lease:
                await bucket.put("key", b"another", revision=lease.revision)
                await asyncio.sleep(5 * TTL_S)

        held_at_s = now_s()
        with pytest.raises(LeaseLostError):
            await hold()
        assert now_s() - held_at_s == pytest.approx(TTL_S / RENEWALS_PER_TTL, abs=0.1)
        assert await leases.is_held("key"), "the other holder keeps it"

    run(check)


def test_a_lease_of_a_dead_holder_expires() -> None:
    async def check(bucket: MemoryBucket, leases: Leases) -> None:
        await bucket.put("key", b"dead", revision=ABSENT)
        with pytest.raises(LeaseTakenError):
            await leases.hold("key").__aenter__()
        await asyncio.sleep(TTL_S)
        async with leases.hold("key"):
            pass

    run(check)


def test_of_concurrent_requests_one_gets_the_lease() -> None:
    async def check(bucket: MemoryBucket, _: Leases) -> None:
        async def take() -> bool:
            try:
                async with bucket.leases().hold("key"):
                    await asyncio.sleep(1)
            except LeaseTakenError:
                return False
            return True

        assert sum(await asyncio.gather(*(take() for _ in range(5)))) == 1

    run(check)


def test_a_lease_cannot_be_requested_during_an_outage() -> None:
    async def check(bucket: MemoryBucket, leases: Leases) -> None:
        bucket.failure = UNAVAILABLE
        with pytest.raises(FailureError) as caught:
            await leases.hold("key").__aenter__()
        assert caught.value is UNAVAILABLE
        with pytest.raises(FailureError):
            await leases.is_held("key")

    run(check)


def test_a_cancelled_holder_releases_its_lease() -> None:
    async def check(_: MemoryBucket, leases: Leases) -> None:
        async def hold() -> None:
            async with leases.hold("key"):
                await asyncio.Event().wait()

        holding = asyncio.create_task(hold())
        await asyncio.sleep(1)
        assert await leases.is_held("key")
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
        assert not await leases.is_held("key")

    run(check)
