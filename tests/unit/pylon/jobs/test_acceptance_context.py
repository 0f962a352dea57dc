"""Concurrent writes share one chain read, which has a timeout."""

import asyncio

import pytest

from pylon.chain.chain_identity import ChainIdentity
from pylon.chain.write_port import Epoch
from pylon.jobs import acceptance_context
from pylon.jobs.acceptance_context import AcceptanceContexts
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.job_store import JobStore
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import BlockNumber, NetUid
from tests.support.product.adversary import Process, World

NETUID = NetUid(1)
WRITES = 50
LONG_S = 3600.0


class Slow(Process):
    """A chain that answers when the test lets it.

    Attributes:
        asked: how often it was asked for an epoch.
        may_respond: whether it answers.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.reads = 0
        self.may_respond = asyncio.Event()

    async def epoch(self, netuid: NetUid, block: BlockNumber | None = None) -> Epoch:
        self.reads += 1
        await self.may_respond.wait()
        return await super().epoch(netuid, block)


async def ignore_change(_job: Job) -> None:
    pass


@pytest.fixture
async def chain() -> Slow:
    return Slow(World())


@pytest.fixture
async def contexts(chain: Slow) -> AcceptanceContexts:
    store = JobStore(chain, ignore_change, ended_retention_days=1)
    await ChainRecord(chain).bind(ChainIdentity("devnet", chain.world.genesis))
    return AcceptanceContexts(chain, store, lambda: None)


async def test_concurrent_writes_read_the_chain_once(
    contexts: AcceptanceContexts, chain: Slow
) -> None:
    waiting = [asyncio.create_task(contexts.get(NETUID)) for _ in range(WRITES)]
    await asyncio.sleep(0)
    chain.may_respond.set()
    found = await asyncio.gather(*waiting)
    assert all(context.epoch is not None for context in found)
    assert chain.reads == 1
    await contexts.get(NETUID)
    assert chain.reads == 2


async def test_a_slow_chain_delays_one_write_and_is_read_again(
    contexts: AcceptanceContexts, chain: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance_context, "CHAIN_TIMEOUT_S", 0.05)
    assert (await contexts.get(NETUID)).epoch is None
    # The timeout of the first read does not apply now.
    monkeypatch.setattr(acceptance_context, "CHAIN_TIMEOUT_S", LONG_S)
    monkeypatch.setattr(acceptance_context, "SLOW_CHAIN_TIMEOUT_S", 0.01)
    for _ in range(3):
        assert (await contexts.get(NETUID)).epoch is None
    chain.may_respond.set()
    monkeypatch.setattr(acceptance_context, "SLOW_CHAIN_TIMEOUT_S", 0.0)
    while (await contexts.get(NETUID)).epoch is None:
        await asyncio.sleep(0)
    # The chain answers in time again, so the full timeout applies again.
    assert (await contexts.get(NETUID)).epoch is not None


async def test_a_cancelled_write_leaves_the_read_to_the_others(
    contexts: AcceptanceContexts, chain: Slow
) -> None:
    first, second = (asyncio.create_task(contexts.get(NETUID)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    chain.may_respond.set()
    assert (await second).epoch is not None
    assert chain.reads == 1


async def test_a_read_is_used_again_until_the_next_head(
    chain: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore(chain, ignore_change, ended_retention_days=1)
    heads = [BlockNumber(chain.world.best)]
    contexts = AcceptanceContexts(chain, store, lambda: heads[-1])
    chain.may_respond.set()
    monkeypatch.setattr(acceptance_context, "EPOCH_REUSE_S", LONG_S)
    first = await contexts.get(NETUID)
    assert (await contexts.get(NETUID)).epoch == first.epoch
    assert chain.reads == 1
    chain.world.tick()
    heads.append(BlockNumber(chain.world.best))
    second = await contexts.get(NETUID)
    assert second.epoch is not None
    assert second.epoch.block == chain.world.best
    assert chain.reads == 2
    await contexts.get(NetUid(2))
    assert chain.reads == 3, "another subnet has another epoch"


@pytest.mark.parametrize("head", [None, BlockNumber(1)])
async def test_an_old_read_and_one_without_a_head_are_not_used_again(
    chain: Slow, monkeypatch: pytest.MonkeyPatch, head: BlockNumber | None
) -> None:
    store = JobStore(chain, ignore_change, ended_retention_days=1)
    contexts = AcceptanceContexts(chain, store, lambda: head)
    chain.may_respond.set()
    monkeypatch.setattr(acceptance_context, "EPOCH_REUSE_S", LONG_S if head is None else 0.0)
    await contexts.get(NETUID)
    await contexts.get(NETUID)
    assert chain.reads == 2
