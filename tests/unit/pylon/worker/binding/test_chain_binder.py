"""Binding of the state to one chain, and refusal of other chains."""

import asyncio

import pytest

from pylon.chain.chain_guard import ChainGuard, UnboundError
from pylon.jetstream.bucket import ABSENT
from pylon.jobs.chain_record import ChainRecord
from pylon.worker.binding.chain_binder import ChainBinder, ForeignStateError
from pylon.worker.binding.legacy_state_check import find_mismatch
from pylon.worker.binding.remedy import mismatch_remedy
from tests.support.chain.bound_state import FINNEY, NEW, OLD, ChainNode, StoredBlocks
from tests.support.product.adversary import World


class Connection:
    def on_gap(self, _listener: object) -> object:
        return lambda: None


def guard_of(network: str = "test") -> ChainGuard:
    return ChainGuard(network, mismatch_remedy, needs_binding=True)


def binder_of(world: World, guard: ChainGuard, node: ChainNode, *published: int) -> ChainBinder:
    connection: object = Connection()
    return ChainBinder(
        guard,
        "test" if node.its_genesis == NEW else "finney",
        node,
        world.process(),
        StoredBlocks(*published),
        connection,  # pyright: ignore[reportArgumentType] -- only the used part
    )


async def test_of_concurrent_workers_one_binds_the_state() -> None:
    world, guards = World(), [guard_of(), guard_of(), guard_of()]
    nodes = [ChainNode(OLD, 9), ChainNode(NEW, 9), ChainNode(NEW, 9)]
    results = await asyncio.gather(
        *(binder_of(world, guard, node).start() for guard, node in zip(guards, nodes, strict=True)),
        return_exceptions=True,
    )
    bound = {guard.bound for guard in guards}
    assert len(bound) == 1, "of workers that start at the same time one binds it"
    is_old = bound == {FINNEY}
    refused = [isinstance(result, ForeignStateError) for result in results]
    assert refused == ([False, True, True] if is_old else [True, False, False])


async def test_another_chain_is_refused_with_both_names_and_the_command() -> None:
    world = World()
    await binder_of(world, guard_of("finney"), ChainNode(OLD, 9)).start()
    with pytest.raises(ForeignStateError) as refused:
        await binder_of(world, guard_of(), ChainNode(NEW, 9)).start()
    text = str(refused.value)
    for part in ("finney (genesis 0xaaaaaaaa…)", "test (genesis 0xbbbbbbbb…)"):
        assert part in text
    assert "`pylon reset --network finney`" in text


async def test_the_name_of_the_same_chain_may_change() -> None:
    world, guard = World(), guard_of("ws://node")
    await binder_of(world, guard_of("finney"), ChainNode(OLD, 9)).start()
    await binder_of(world, guard, ChainNode(OLD, 9)).start()
    assert guard.bound == FINNEY


async def test_without_the_node_a_worker_starts_and_accepts_no_connection() -> None:
    node, guard = ChainNode(OLD, 9), guard_of("finney")
    node.is_away = True
    binder = binder_of(World(), guard, node)
    await binder.start()
    with pytest.raises(UnboundError):
        guard.check_genesis(OLD)
    node.is_away = False
    running = asyncio.create_task(binder.run())
    while guard.bound is None:
        await asyncio.sleep(0)
    running.cancel()
    guard.check_genesis(OLD)


async def test_a_worker_stops_when_its_state_was_set_aside() -> None:
    world, guard, node = World(), guard_of("finney"), ChainNode(OLD, 9)
    binder = binder_of(world, guard, node)
    await binder.start()
    world.store.clear()
    node.its_genesis = NEW
    with pytest.raises(ForeignStateError, match="set aside while this worker ran"):
        await binder.run()


async def test_a_lost_job_store_is_bound_again_while_the_worker_runs() -> None:
    world, guard, node = World(), guard_of("finney"), ChainNode(OLD, 600)
    binder = binder_of(world, guard, node, 500)
    await binder.start()
    world.store.clear()
    node.forked = {500}
    running = asyncio.create_task(binder.run())
    while await ChainRecord(world.process()).get() is None:
        await asyncio.sleep(0)
    running.cancel()
    assert guard.bound == FINNEY
    assert not guard.problems


async def test_the_genesis_record_of_an_earlier_version_counts() -> None:
    world = World()
    process = world.process()
    await process.put("chain", OLD.encode(), revision=ABSENT)
    assert await ChainRecord(process).genesis() == OLD
    assert await find_mismatch(OLD, ChainNode(OLD, 9), process, StoredBlocks()) is None
    with pytest.raises(ForeignStateError, match="pylon reset --network unknown"):
        await binder_of(world, guard_of(), ChainNode(NEW, 9)).start()
    guard = guard_of("finney")
    await binder_of(world, guard, ChainNode(OLD, 9)).start()
    assert guard.bound == FINNEY


async def test_a_record_that_cannot_be_read_stops_the_start() -> None:
    world = World()
    await world.process().put("bound-chain", b"{}", revision=ABSENT)
    with pytest.raises(ForeignStateError, match="bound-chain"):
        await binder_of(world, guard_of(), ChainNode(NEW, 9)).start()
