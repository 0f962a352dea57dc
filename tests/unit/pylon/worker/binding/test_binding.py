"""Which chain state belongs to: bound once, adopted where it fits, refused where it does not."""

import asyncio
from collections.abc import Sequence

import pytest

from pylon.chain.chain_guard import ChainGuard, ForeignChainError, UnboundError
from pylon.chain.chain_identity import ChainIdentity
from pylon.jetstream.bucket import ABSENT
from pylon.jobs.chain_record import ChainRecord
from pylon.worker.binding.adoption import find_mismatch
from pylon.worker.binding.chain_binder import ChainBinder, ForeignStateError
from pylon.worker.binding.remedy import HOME_VARIABLE, mismatch_remedy, reset_command
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events.stored_events import FeedEvent
from tests.support.product.adversary import World
from tests.support.product.simulated_jobs import SimulatedJobs

OLD, NEW = "0x" + "aa" * 32, "0x" + "bb" * 32
FINNEY, TEST = ChainIdentity("finney", OLD), ChainIdentity("test", NEW)


def hash_of(number: int, chain: str = OLD) -> BlockHash:
    return BlockHash(f"0x{chain[2:4]}{number:062x}")


class Node:
    """A node of a chain of some height; away while `is_away` is set."""

    def __init__(self, genesis: str, height: int) -> None:
        self.its_genesis = genesis
        self.height = height
        self.is_away = False
        self.forked: set[int] = set()

    async def genesis(self) -> str:
        if self.is_away:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")
        return self.its_genesis

    async def block_hashes(self, numbers: Sequence[int]) -> list[BlockHash | None]:
        return [
            None if number > self.height
            else hash_of(number, NEW if number in self.forked else self.its_genesis)
            for number in numbers
        ]  # fmt: skip


class Events:
    """Published blocks of the old chain, the oldest and the newest that are kept."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    async def __call__(self, subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        assert subject == str(BlockEventSubject())
        if not self.numbers:
            return None
        number = BlockNumber(self.numbers[-1] if after is None else self.numbers[0])
        return FeedEvent(subject, Block(number=number, hash=hash_of(number)), b"")


class Connection:
    def on_gap(self, _listener: object) -> object:
        return lambda: None


def guard_of(network: str = "test") -> ChainGuard:
    return ChainGuard(network, mismatch_remedy, needs_binding=True)


def binder_of(world: World, guard: ChainGuard, node: Node, *published: int) -> ChainBinder:
    connection: object = Connection()
    return ChainBinder(
        guard,
        "test" if node.its_genesis == NEW else "finney",
        node,
        world.process(),
        Events(*published),
        connection,  # pyright: ignore[reportArgumentType] -- the part of one that is needed
    )


async def test_the_first_worker_binds_the_state_and_all_others_find_it_bound() -> None:
    world, guards = World(), [guard_of(), guard_of(), guard_of()]
    nodes = [Node(OLD, 9), Node(NEW, 9), Node(NEW, 9)]
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
    await binder_of(world, guard_of("finney"), Node(OLD, 9)).start()
    with pytest.raises(ForeignStateError) as refused:
        await binder_of(world, guard_of(), Node(NEW, 9)).start()
    text = str(refused.value)
    for part in ("finney (genesis 0xaaaaaaaa…)", "test (genesis 0xbbbbbbbb…)"):
        assert part in text
    assert "`pylon reset --network finney`" in text


async def test_the_name_of_the_same_chain_may_change() -> None:
    world, guard = World(), guard_of("ws://node")
    await binder_of(world, guard_of("finney"), Node(OLD, 9)).start()
    await binder_of(world, guard, Node(OLD, 9)).start()
    assert guard.bound == FINNEY


async def test_while_the_node_is_away_a_worker_starts_and_admits_nothing_unbound() -> None:
    node, guard = Node(OLD, 9), guard_of("finney")
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


async def test_a_worker_whose_state_was_set_aside_meanwhile_stops() -> None:
    world, guard, node = World(), guard_of("finney"), Node(OLD, 9)
    binder = binder_of(world, guard, node)
    await binder.start()
    world.store.clear()
    node.its_genesis = NEW
    with pytest.raises(ForeignStateError, match="set aside while this worker ran"):
        await binder.run()


async def test_a_ledger_that_was_lost_is_bound_again_while_its_worker_runs() -> None:
    world, guard, node = World(), guard_of("finney"), Node(OLD, 600)
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


def test_a_guard_tells_which_node_it_refuses_and_when_it_is_right_again() -> None:
    guard, asked_again = guard_of(), list[bool]()
    guard.on_bound(lambda: asked_again.append(True))
    guard.bind(FINNEY)
    guard.bind(FINNEY)
    assert asked_again == [True]
    with pytest.raises(ForeignChainError):
        guard.check_archive_genesis(NEW)
    assert not guard.problems, "an archive of another chain is no problem of the worker's"
    with pytest.raises(ForeignChainError):
        guard.check_genesis(NEW)
    (problem,) = guard.problems
    assert "pylon reset --network finney" in problem
    guard.check_genesis(OLD)
    assert not guard.problems


def test_a_reader_admits_any_node_until_it_knows_the_chain() -> None:
    guard = ChainGuard("test", mismatch_remedy, needs_binding=False)
    guard.check_genesis(NEW)
    guard.bind(FINNEY)
    with pytest.raises(ForeignChainError):
        guard.check_genesis(NEW)


def test_the_command_names_the_home_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/a home")
    assert reset_command("ws://x:1") == "pylon reset --network ws://x:1 --home '/a home'"


@pytest.mark.parametrize(
    ("published", "node", "fits"),
    [
        ((), Node(OLD, 3), True),
        ((470, 500), Node(OLD, 600), True),
        ((470, 500), Node(OLD, 480), True),
        ((470, 500), Node(OLD, 100), False),
        ((470, 500), Node(NEW, 600), False),
        ((470, 500), Node(NEW, 100), False),
    ],
)
async def test_state_of_a_version_before_is_adopted_where_its_blocks_are_of_the_chain(
    published: tuple[int, ...], node: Node, *, fits: bool
) -> None:
    found = await find_mismatch(node.its_genesis, node, World().process(), Events(*published))
    assert (found is None) == fits
    if found is not None:
        assert "block 500 of it was published" in found.reason


async def test_a_reorganised_newest_block_does_not_make_it_another_chain() -> None:
    node = Node(OLD, 600)
    node.forked = {500}
    assert await find_mismatch(OLD, node, World().process(), Events(470, 500)) is None


async def test_state_whose_jobs_are_for_another_chain_is_not_adopted() -> None:
    world = World(genesis=OLD)
    await SimulatedJobs(world).accept()
    assert await find_mismatch(OLD, Node(OLD, 9), world.process(), Events()) is None
    found = await find_mismatch(NEW, Node(NEW, 9), world.process(), Events())
    assert found is not None
    assert found.chain == ChainIdentity("unknown", OLD)
    assert "1 of its jobs" in found.reason


async def test_what_a_version_before_noted_counts() -> None:
    world = World()
    process = world.process()
    await process.put("chain", OLD.encode(), revision=ABSENT)
    assert await ChainRecord(process).genesis() == OLD
    assert await find_mismatch(OLD, Node(OLD, 9), process, Events()) is None
    with pytest.raises(ForeignStateError, match="pylon reset --network unknown"):
        await binder_of(world, guard_of(), Node(NEW, 9)).start()
    guard = guard_of("finney")
    await binder_of(world, guard, Node(OLD, 9)).start()
    assert guard.bound == FINNEY


async def test_a_record_that_cannot_be_read_stops_the_start() -> None:
    world = World()
    await world.process().put("bound-chain", b"{}", revision=ABSENT)
    with pytest.raises(ForeignStateError, match="bound-chain"):
        await binder_of(world, guard_of(), Node(NEW, 9)).start()
