"""The record of the bound chain is written once."""

import pytest

from pylon.chain.chain_identity import ChainIdentity
from pylon.jetstream.bucket import Entry
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.stored_job import UnreadableEntryError
from pylon_client.contract.types import Revision
from tests.support.product.adversary import World

FIRST, SECOND = ChainIdentity("finney", "0xa"), ChainIdentity("test", "0xb")


async def test_the_first_chain_stays_bound() -> None:
    record = ChainRecord(World().process())
    assert await record.get() is None
    assert await record.bind(FIRST) == FIRST
    assert await record.bind(SECOND) == FIRST
    assert await record.genesis() == FIRST.genesis


async def test_the_genesis_of_an_earlier_version_counts_until_a_chain_is_bound() -> None:
    record = ChainRecord(World().process())
    await record.set_legacy_genesis("0xold")
    await record.set_legacy_genesis("0xnew")
    assert (await record.legacy_genesis(), await record.genesis()) == ("0xold", "0xold")
    await record.bind(FIRST)
    assert await record.genesis() == FIRST.genesis


async def test_an_unreadable_record_is_not_replaced() -> None:
    world = World()
    world.store["bound-chain"] = Entry("bound-chain", b"{", Revision(1))
    with pytest.raises(UnreadableEntryError):
        await ChainRecord(world.process()).bind(FIRST)
    assert world.store["bound-chain"].value == b"{"
