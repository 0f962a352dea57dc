import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio

from pylon.jetstream.bucket import ABSENT, Bucket, ConflictError
from pylon.jetstream.lease import Lease, LeaseLostError, Leases, LeaseTakenError
from pylon_client.contract.topology import LEASES, LEASES_BUCKET
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.replicas import Nats
from tests.support.product.eventually import HANGS_AFTER_S, comes_true

pytestmark = pytest.mark.asyncio(loop_scope="module")

TTL_S = 2.0


@pytest_asyncio.fixture(loop_scope="module")
async def bucket(nats: Nats) -> Bucket:
    plan = replace(LEASES, max_age_s=int(TTL_S), duplicate_window_s=1)
    return Bucket(await nats.provision(plan), LEASES_BUCKET)


@pytest.fixture
def leases(bucket: Bucket) -> Leases:
    return Leases(bucket, TTL_S)


async def test_one_holder_at_a_time_whose_fencing_token_grows(leases: Leases) -> None:
    async with leases.hold("key") as first:
        with pytest.raises(LeaseTakenError):
            async with leases.hold("key"):
                pass
        async with leases.hold("other"):
            pass
    async with leases.hold("key") as second:
        assert second.fencing_token > first.revision >= first.fencing_token


async def test_one_of_many_concurrent_requesters_gets_a_lease(bucket: Bucket, nats: Nats) -> None:
    holders = max_holders = 0

    async def try_to_hold(number: int) -> bool:
        nonlocal holders, max_holders
        try:
            async with Leases(Bucket(await nats.connect(number), LEASES_BUCKET), TTL_S).hold("key"):
                holders += 1
                max_holders = max(max_holders, holders)
                await decided.wait()
                holders -= 1
        except LeaseTakenError:
            return False
        return True

    decided = asyncio.Event()
    attempts = [asyncio.create_task(try_to_hold(number)) for number in range(8)]

    async def all_but_one_are_rejected() -> bool:
        return sum(task.done() for task in attempts) == 7

    await comes_true(all_but_one_are_rejected)
    decided.set()
    assert sum(await asyncio.gather(*attempts)) == max_holders == 1


async def test_a_held_lease_outlives_its_ttl(leases: Leases) -> None:
    async with leases.hold("key") as lease:

        async def renewed_often() -> bool:
            return lease.revision >= lease.fencing_token + 6

        await comes_true(renewed_often)
        with pytest.raises(LeaseTakenError):
            async with leases.hold("key"):
                pass


async def test_a_body_is_cancelled_when_its_lease_is_lost(leases: Leases, bucket: Bucket) -> None:
    async def hold_for_ever(acquired: asyncio.Future[Lease]) -> None:
        async with leases.hold("key") as lease:
            acquired.set_result(lease)
            await asyncio.Event().wait()

    acquired = asyncio.get_running_loop().create_future()
    holding = asyncio.create_task(hold_for_ever(acquired))
    await acquired

    async def overwritten() -> bool:
        entry = await bucket.get("key")
        assert entry is not None
        try:
            await bucket.put("key", b"an intruder", revision=entry.revision)
        except ConflictError:  # the holder has renewed it in between
            return False
        return True

    await comes_true(overwritten)
    with pytest.raises(LeaseLostError):
        await holding


async def test_a_lease_without_renewals_expires(leases: Leases, bucket: Bucket) -> None:
    await bucket.put("key", b"somebody who died", revision=ABSENT)

    async def free() -> bool:
        try:
            async with leases.hold("key"):
                return True
        except LeaseTakenError:
            return False

    await comes_true(free)


async def test_a_body_is_cancelled_when_the_server_is_down_too_long(
    leases: Leases, nats: Nats
) -> None:
    alone = isinstance(nats.servers, NatsServer)
    servers = [nats.servers] if isinstance(nats.servers, NatsServer) else nats.servers.servers

    async def hold_for_ever() -> None:
        async with leases.hold("key"):
            for server in servers if alone else servers[:2]:  # without a majority there is no lease
                await server.kill()
            await asyncio.Event().wait()

    with pytest.raises(LeaseLostError):
        await hold_for_ever()
    for server in servers if alone else servers[:2]:
        await server.start()


async def test_an_error_of_the_body_passes_and_frees_the_lease(bucket: Bucket) -> None:
    # Long ones, since servers that have just started may take seconds to store one.
    leases = Leases(bucket, HANGS_AFTER_S)
    with pytest.raises(TimeoutError, match="of the body"):
        async with leases.hold("key"):
            raise TimeoutError("of the body")
    async with leases.hold("key"):
        pass
