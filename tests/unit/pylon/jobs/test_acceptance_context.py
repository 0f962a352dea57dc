"""What accepting a write asks of the chain: once for all at a time, and not for long."""

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
    """A chain that answers when a test lets it.

    Attributes:
        asked: how often it was asked for an epoch.
        may_answer: whether it answers.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def epoch(self, netuid: NetUid, block: BlockNumber | None = None) -> Epoch:
        self.asked += 1
        await self.may_answer.wait()
        return await super().epoch(netuid, block)


async def not_announced(_job: Job) -> None:
    pass


@pytest.fixture
async def chain() -> Slow:
    return Slow(World())


@pytest.fixture
async def asked(chain: Slow) -> AcceptanceContexts:
    ledger = JobStore(chain, not_announced, ended_retention_days=1)
    await ChainRecord(chain).bind(ChainIdentity("devnet", chain.world.genesis))
    return AcceptanceContexts(chain, ledger)


async def test_writes_at_one_time_ask_the_chain_once(
    asked: AcceptanceContexts, chain: Slow
) -> None:
    waiting = [asyncio.create_task(asked.get(NETUID)) for _ in range(WRITES)]
    await asyncio.sleep(0)
    chain.may_answer.set()
    found = await asyncio.gather(*waiting)
    assert all(moment.epoch is not None for moment in found)
    assert chain.asked == 1
    await asked.get(NETUID)
    assert chain.asked == 2


async def test_a_slow_chain_delays_one_write_and_is_tried_again(
    asked: AcceptanceContexts, chain: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance_context, "CHAIN_TIMEOUT_S", 0.05)
    assert (await asked.get(NETUID)).epoch is None
    # Whatever is waited for now, it is not the first patience.
    monkeypatch.setattr(acceptance_context, "CHAIN_TIMEOUT_S", LONG_S)
    monkeypatch.setattr(acceptance_context, "SLOW_CHAIN_TIMEOUT_S", 0.01)
    for _ in range(3):
        assert (await asked.get(NETUID)).epoch is None
    chain.may_answer.set()
    monkeypatch.setattr(acceptance_context, "SLOW_CHAIN_TIMEOUT_S", 0.0)
    while (await asked.get(NETUID)).epoch is None:
        await asyncio.sleep(0)
    # It answers in time again, and is waited for again.
    assert (await asked.get(NETUID)).epoch is not None


async def test_a_write_that_is_cancelled_leaves_the_others_their_answer(
    asked: AcceptanceContexts, chain: Slow
) -> None:
    first, second = (asyncio.create_task(asked.get(NETUID)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    chain.may_answer.set()
    assert (await second).epoch is not None
    assert chain.asked == 1
