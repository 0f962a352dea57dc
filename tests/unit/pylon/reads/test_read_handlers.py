"""The source of each operation's result: snapshots or the chain."""

import asyncio
from collections.abc import Collection

import pytest

from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.chain.chain_reader import ChainReader
from pylon.reads.read_handlers import ReadHandlers
from pylon.reads.recent_neurons import RecentNeurons
from pylon.rpc.calls import CallResult, HandlerTable, ServiceCall
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import SubnetNeurons
from pylon_client.contract.operations import OPERATIONS, BlockParams, NoParams, Params, Scope
from pylon_client.contract.reads import ChangesParams
from pylon_client.contract.snapshot_changes import apply_changes
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, NetUid
from pylon_client.contract.writes import WRITE_OPERATIONS
from pylon_client.testing import sample_neuron
from tests.support.chain.fake_chain import UNAVAILABLE, FakeChain, block_of, hash_of

TRACKED, OTHER = NetUid(1), NetUid(7)
HEAD = 50
MADE_S = 1_700_000_000
IDENTITY = IdentityName("sn1")
OWN = Hotkey("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")


def call_of(
    operation: str,
    *,
    netuid: NetUid | None = None,
    params: Params | None = None,
) -> ServiceCall:
    return ServiceCall(
        operation=operation,
        scope=Scope.OPEN,
        netuid=netuid,
        identity=None,
        params=params or NoParams(),
        timeout_s=30.0,
        request_id="r",
    )


class Worker:
    """Handlers over a fake chain, with or without fresh snapshots."""

    def __init__(self, *, fresh: bool, tracked: Collection[NetUid] = (TRACKED,)) -> None:
        self.chain = FakeChain(HEAD)
        snapshots = Snapshots(max_silence_s=36.0, clock_s=lambda: 0.0)
        block = block_of(HEAD)
        snapshots.put(str(BlockEventSubject()), Snapshot(block, b"the block"))
        snapshots.put(str(NeuronsEventSubject(TRACKED)), Snapshot(block, b"the neurons"))
        if fresh:
            snapshots.observe_head(block.number)
        reader = ChainReader(self.chain, chain_timeout_s=30)
        recent = RecentNeurons(
            snapshots, tracked, hard_limit_blocks=10, block_duration_s=12, now_s=lambda: MADE_S
        )
        self.snapshots = snapshots
        table = HandlerTable()
        ReadHandlers(
            snapshots,
            reader,
            recent,
            identities={IDENTITY: TRACKED},
            addresses={IDENTITY: OWN},
        ).register(table)
        self.handlers = table.handlers
        self.execute = table.execute

    async def ask(self, call: ServiceCall) -> bytes:
        return (await self.answer(call)).body

    async def answer(self, call: ServiceCall) -> CallResult:
        return await self.execute(call)


def test_every_read_has_a_handler() -> None:
    every_read = set(OPERATIONS) - set(WRITE_OPERATIONS)
    assert set(Worker(fresh=True).handlers) == {operation.name for operation in every_read}


async def test_latest_of_a_tracked_subnet_does_not_read_the_chain() -> None:
    worker = Worker(fresh=True)
    worker.chain.down = UNAVAILABLE
    assert await worker.ask(call_of("block.latest")) == b"the block"
    assert await worker.ask(call_of("neurons.latest", netuid=TRACKED)) == b"the neurons"
    assert not worker.chain.reads


@pytest.mark.parametrize("fresh", [True, False])
async def test_an_answer_says_of_which_block_it_is(*, fresh: bool) -> None:
    worker = Worker(fresh=fresh)
    at = BlockParams(block_number=BlockNumber(5))
    for call, number in (
        (call_of("block.latest"), HEAD),
        (call_of("neurons.latest", netuid=TRACKED), HEAD),
        (call_of("neurons.latest", netuid=OTHER), HEAD),
        (call_of("neurons.at", netuid=TRACKED, params=at), 5),
    ):
        assert (await worker.answer(call)).block == block_of(number)


async def test_latest_of_another_subnet_is_read_once_at_the_newest_block() -> None:
    worker = Worker(fresh=True)
    call = call_of("neurons.latest", netuid=OTHER)
    bodies = await asyncio.gather(*(worker.ask(call) for _ in range(200)))
    assert {json_codec.decode(body)["block"]["number"] for body in bodies} == {HEAD}
    assert worker.chain.reads == {("neurons", OTHER, HEAD): 1}


async def test_a_stale_snapshot_is_not_returned_as_the_latest() -> None:
    worker = Worker(fresh=False)
    worker.chain.head = 99
    assert json_codec.decode(await worker.ask(call_of("block.latest")))["number"] == 99
    neurons = await worker.ask(call_of("neurons.latest", netuid=TRACKED))
    assert json_codec.decode(neurons)["block"]["number"] == 99


@pytest.mark.parametrize("operation", ["block.latest", "neurons.latest"])
async def test_while_the_chain_is_down_a_stale_latest_fails_with_the_chains_reason(
    operation: str,
) -> None:
    worker = Worker(fresh=False)
    worker.chain.down = UNAVAILABLE
    with pytest.raises(FailureError) as caught:
        await worker.ask(call_of(operation, netuid=TRACKED))
    assert (caught.value.code, caught.value.failure.http_status) == (
        ErrorCode.CHAIN_UNAVAILABLE,
        502,
    )


async def test_latest_is_not_read_at_a_block_removed_by_a_reorg() -> None:
    worker = Worker(fresh=True)
    worker.chain.fork = 1
    neurons = await worker.ask(call_of("neurons.latest", netuid=OTHER))
    assert json_codec.decode(neurons)["block"] == block_of(HEAD, fork=1).model_dump()


async def test_latest_of_a_missing_subnet_is_not_found() -> None:
    worker = Worker(fresh=True)
    worker.chain.failing_netuids[OTHER] = FailureError(ErrorCode.NOT_FOUND, "Subnet 7 not found.")
    with pytest.raises(FailureError, match=r"Subnet 7 not found\."):
        await worker.ask(call_of("neurons.latest", netuid=OTHER))


async def test_neurons_at_a_block_are_read_once_for_all_callers_and_cached() -> None:
    worker = Worker(fresh=True)
    call = call_of("neurons.at", netuid=TRACKED, params=BlockParams(block_number=BlockNumber(5)))
    bodies = await asyncio.gather(*(worker.ask(call) for _ in range(50)))
    bodies.append(await worker.ask(call))
    assert {json_codec.decode(body)["block"]["number"] for body in bodies} == {5}
    assert worker.chain.reads["neurons", TRACKED, 5] == 1


async def test_after_a_reorg_a_block_is_read_again() -> None:
    worker = Worker(fresh=True)
    call = call_of("neurons.at", netuid=TRACKED, params=BlockParams(block_number=BlockNumber(5)))
    first = json_codec.decode(await worker.ask(call))
    worker.chain.fork = 1
    second = json_codec.decode(await worker.ask(call))
    assert first["block"]["hash"] != second["block"]["hash"]


async def test_a_block_of_the_future_is_not_found() -> None:
    call = call_of("neurons.at", netuid=TRACKED, params=BlockParams(block_number=BlockNumber(99)))
    with pytest.raises(FailureError, match=r"Block 99 not found\.") as caught:
        await Worker(fresh=True).ask(call)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_each_caller_has_its_own_timeout_for_a_shared_read() -> None:
    worker = Worker(fresh=True)
    worker.chain.gate.clear()
    patient = asyncio.create_task(worker.ask(call_of("neurons.latest", netuid=OTHER)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):  # as the request server does
            await worker.ask(call_of("neurons.latest", netuid=OTHER))
    worker.chain.gate.set()
    assert json_codec.decode(await patient)["block"]["number"] == HEAD
    assert worker.chain.reads["neurons", OTHER, HEAD] == 1


@pytest.mark.parametrize(
    ("exists", "fresh", "code", "reads"),
    [
        (False, True, ErrorCode.NOT_FOUND, 3),
        (True, True, ErrorCode.NO_RECENT_SNAPSHOT, 1),
        (False, False, ErrorCode.NO_RECENT_SNAPSHOT, 0),
    ],
)
async def test_recent_of_a_missing_tracked_subnet_is_not_found_while_the_chain_is_live(
    *, exists: bool, fresh: bool, code: ErrorCode, reads: int
) -> None:
    worker = Worker(fresh=fresh, tracked=(TRACKED, OTHER))
    if not exists:
        worker.chain.failing_netuids[OTHER] = FailureError(ErrorCode.NOT_FOUND, "No such subnet.")
    with pytest.raises(FailureError) as caught:
        await worker.ask(call_of("neurons.recent", netuid=OTHER))
    assert caught.value.code is code
    assert sum(worker.chain.reads.values()) == reads


async def test_recent_of_an_untracked_subnet_does_not_read_the_chain() -> None:
    worker = Worker(fresh=True)
    with pytest.raises(FailureError) as caught:
        await worker.ask(call_of("neurons.recent", netuid=OTHER))
    assert caught.value.code is ErrorCode.NOT_FOUND
    assert not worker.chain.reads


def neurons_at(number: int, *uids: int) -> SubnetNeurons:
    neurons = [sample_neuron(uid) for uid in uids]
    return SubnetNeurons(
        block=block_of(number), neurons={neuron.hotkey: neuron for neuron in neurons}
    )


def changes_of(since: int) -> ServiceCall:
    params = ChangesParams(since=BlockNumber(since))
    return call_of("neurons.changes", netuid=TRACKED, params=params)


class ChangingSubnet(Worker):
    """A worker that has received three snapshots; each has one neuron more."""

    def __init__(self, *, fresh: bool) -> None:
        super().__init__(fresh=fresh)
        self.bodies = {
            number: json_codec.encode(neurons_at(number, *range(number - HEAD + 3)))
            for number in range(HEAD + 1, HEAD + 4)
        }
        for number, body in self.bodies.items():
            snapshot = Snapshot(block_of(number), body)
            self.snapshots.put(str(NeuronsEventSubject(TRACKED)), snapshot)
        self.chain.head = HEAD + 3
        if fresh:
            self.snapshots.observe_head(BlockNumber(HEAD + 3))


@pytest.mark.parametrize("since", [HEAD + 1, HEAD + 2, HEAD + 3])
async def test_changes_lead_from_a_kept_snapshot_to_the_latest(since: int) -> None:
    worker = ChangingSubnet(fresh=True)
    answer = await worker.answer(changes_of(since))
    assert answer.block == block_of(HEAD + 3)
    assert apply_changes(worker.bodies[since], answer.body) == worker.bodies[HEAD + 3]
    assert worker.chain.reads == {("block", since): 1}


async def test_changes_since_an_older_block_are_read_from_the_chain_once() -> None:
    worker = ChangingSubnet(fresh=True)
    older = json_codec.encode(neurons_at(5))
    bodies = [await worker.ask(changes_of(5)) for _ in range(3)]
    assert {apply_changes(older, body) for body in bodies} == {worker.bodies[HEAD + 3]}
    assert worker.chain.reads == {("block", 5): 3, ("neurons", TRACKED, 5): 1}


async def test_without_a_fresh_snapshot_changes_end_at_the_newest_block_of_the_chain() -> None:
    worker = ChangingSubnet(fresh=False)
    worker.chain.head = 99
    answer = await worker.answer(changes_of(HEAD + 2))
    newest = json_codec.encode(neurons_at(99))
    assert (answer.block, apply_changes(worker.bodies[HEAD + 2], answer.body)) == (
        block_of(99),
        newest,
    )


async def test_nothing_has_changed_since_a_block_that_is_newer_than_the_snapshot() -> None:
    worker = ChangingSubnet(fresh=True)
    worker.chain.head = HEAD + 4
    answer = await worker.answer(changes_of(HEAD + 4))
    known = json_codec.encode(neurons_at(HEAD + 4))
    assert (answer.block, apply_changes(known, answer.body)) == (block_of(HEAD + 4), known)


async def test_a_snapshot_of_a_block_that_a_reorg_has_removed_is_not_used() -> None:
    worker = ChangingSubnet(fresh=True)
    worker.chain.fork = 1
    answer = await worker.answer(changes_of(HEAD + 2))
    assert json_codec.decode(answer.body)["from_block"]["hash"] == hash_of(HEAD + 2, 1)


async def test_changes_since_a_block_that_does_not_exist_yet_are_not_found() -> None:
    with pytest.raises(FailureError) as caught:
        await ChangingSubnet(fresh=True).ask(changes_of(HEAD + 9))
    assert caught.value.code is ErrorCode.NOT_FOUND
