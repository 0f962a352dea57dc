"""The writer: its choice of a node, refused submissions and lost connections."""

from collections.abc import Callable
from typing import Any

import pytest
from bittensor._transport.rpc import classify_rpc_error
from bittensor.result import RpcConnectionError

from pylon.chain import subtensor_writer
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.chain.write_port import ChainTip, CommitmentCall, Inclusion, RefusalKind, RefusedError
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import (
    MAX_BLOCK_NUMBER,
    BlockNumber,
    Hotkey,
    JobKind,
    MechanismId,
    NetUid,
)
from tests.support.chain.fake_writing_sdk import GENESIS_HASH, FakeExtrinsicResult, FakeWritingSdk
from tests.support.product.fake_signers import FakeSigner

NODE, ARCHIVE = "ws://node", "ws://archive"
NETUID = NetUid(1)
HOTKEY = Hotkey("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
CALL = CommitmentCall(NETUID, b"data")


class Nodes:
    """The connections to each node; all of them reply as the node's first one is scripted."""

    def __init__(self) -> None:
        self.scripts: dict[str, FakeWritingSdk] = {
            NODE: FakeWritingSdk(),
            ARCHIVE: FakeWritingSdk(),
        }
        self.connected: list[str] = []

    def __call__(self, url: str, _admit: Callable[[str], None] | None) -> FakeWritingSdk:
        self.connected.append(url)
        return self.scripts[url]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    made = Nodes()
    monkeypatch.setattr(subtensor_writer, "Substrate", made)
    return made


def refusal_by_pool(data: str) -> Exception:
    return classify_rpc_error({"code": 1010, "message": "Invalid Transaction", "data": data})


async def test_the_tip_has_both_heads(nodes: Nodes) -> None:
    writer = SubtensorWriter(NODE)
    assert await writer.tip() == ChainTip(BlockNumber(110), BlockNumber(107))
    assert await writer.block_time_s() == 12.0
    assert await writer.genesis() == GENESIS_HASH
    assert nodes.connected == [NODE]
    assert writer.connections_opened == 1
    await writer.close()
    assert nodes.scripts[NODE].is_closed


async def test_a_finalized_head_above_the_best_head_is_implausible(nodes: Nodes) -> None:
    nodes.scripts[NODE].best, nodes.scripts[NODE].finalized = 110, 111
    with pytest.raises(FailureError, match="implausible") as caught:
        await SubtensorWriter(NODE).tip()
    assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE


async def test_a_call_is_signed_and_submitted_once(nodes: Nodes) -> None:
    writer = SubtensorWriter(NODE)
    signed = await writer.sign(CALL, FakeSigner(1))
    assert nodes.scripts[NODE].submitted == []
    await writer.submit(signed)
    (sent,) = nodes.scripts[NODE].submitted
    assert sent.extrinsic_hash == signed.record.hash


async def test_a_submission_is_not_repeated_on_a_new_connection(nodes: Nodes) -> None:
    writer = SubtensorWriter(NODE)
    signed = await writer.sign(CALL, FakeSigner(1))
    nodes.scripts[NODE].submit_error = RpcConnectionError("gone")
    with pytest.raises(FailureError, match="broke while sending") as caught:
        await writer.submit(signed)
    assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE
    assert len(nodes.scripts[NODE].submitted) == 1
    assert nodes.connected == [NODE, NODE]


@pytest.mark.parametrize(
    ("data", "connections"),
    [("Transaction is outdated", 1), ("Transaction has a bad signature", 2)],
)
async def test_a_refusal_is_raised_and_a_bad_signature_replaces_the_connection(
    nodes: Nodes, data: str, connections: int
) -> None:
    writer = SubtensorWriter(NODE)
    signed = await writer.sign(CALL, FakeSigner(1))
    nodes.scripts[NODE].submit_error = refusal_by_pool(data)
    with pytest.raises(RefusedError) as caught:
        await writer.submit(signed)
    assert caught.value.refusal.kind is RefusalKind.RETRY
    await writer.tip()
    assert writer.connections_opened == connections


async def test_an_extrinsic_is_searched_in_every_block_of_a_range(nodes: Nodes) -> None:
    writer = SubtensorWriter(NODE)
    record = (await writer.sign(CALL, FakeSigner(1))).record
    nodes.scripts[NODE].included = {103: FakeExtrinsicResult(success=True)}

    async def find(first: int, last: int) -> Inclusion | None:
        return await writer.find_extrinsic(record, BlockNumber(first), BlockNumber(last))

    assert await find(100, 103) == Inclusion(BlockNumber(103))
    assert await find(103, 110) == Inclusion(BlockNumber(103))
    assert await find(100, 102) is None
    assert await find(104, 103) is None


async def test_old_blocks_are_read_from_the_archive_node(nodes: Nodes) -> None:
    writer = SubtensorWriter(NODE, ARCHIVE, archive_cutoff_blocks=5)
    for script, block in ((NODE, 0), (ARCHIVE, 104)):
        nodes.scripts[script].storage["CommitmentOf"] = {"block": block}

    async def is_on_chain(block: int) -> bool:
        return await writer.is_on_chain(
            JobKind.COMMITMENT, NETUID, None, HOTKEY, BlockNumber(block)
        )

    assert not await is_on_chain(104), "no head was read yet, so that no block is known to be old"
    await writer.tip()
    assert await is_on_chain(104)
    assert not await is_on_chain(105)
    assert set(nodes.connected) == {NODE, ARCHIVE}
    await writer.close()
    assert all(script.is_closed for script in nodes.scripts.values())


async def test_without_an_archive_node_old_blocks_are_read_from_the_node(nodes: Nodes) -> None:
    writer = SubtensorWriter(NODE, archive_cutoff_blocks=5)
    nodes.scripts[NODE].storage["Now"] = 1234
    await writer.tip()
    assert await writer.block_timestamp_ms(BlockNumber(1)) == 1234
    assert nodes.connected == [NODE]


@pytest.mark.parametrize(("asked_for", "read_at"), [(None, 110), (110, 110), (500, 110), (60, 60)])
async def test_the_epoch_is_that_of_a_past_block_or_of_the_best_block(
    nodes: Nodes, asked_for: int | None, read_at: int
) -> None:
    nodes.scripts[NODE].storage |= {
        "Tempo": 50,
        "LastEpochBlock": lambda _keys, number: number - number % 50,
        "get_next_epoch_start_block": lambda _keys, number: number - number % 50 + 50,
    }
    block = None if asked_for is None else BlockNumber(asked_for)
    epoch = await SubtensorWriter(NODE).epoch(NETUID, block)
    start = read_at - read_at % 50
    assert (epoch.block, epoch.tempo) == (read_at, 50)
    assert (epoch.start_block, epoch.next_start_block) == (start, start + 50)


@pytest.mark.parametrize(("uid", "is_registered"), [(0, True), (7, True), (None, False)])
async def test_a_hotkey_with_a_uid_is_registered(
    nodes: Nodes, uid: int | None, *, is_registered: bool
) -> None:
    nodes.scripts[NODE].storage["Uids"] = uid
    assert await SubtensorWriter(NODE).is_registered(NETUID, HOTKEY) is is_registered


@pytest.mark.parametrize(
    ("axon", "limit", "expected"),
    [({"block": 90}, 50, 140), (None, 50, 0), ({"block": 90}, 2**64 - 1, MAX_BLOCK_NUMBER)],
)
async def test_the_next_certificate_waits_for_the_serving_rate_limit(
    nodes: Nodes, axon: Any, limit: int, expected: int
) -> None:
    nodes.scripts[NODE].storage |= {"Axons": axon, "ServingRateLimit": limit}
    assert await SubtensorWriter(NODE).next_certificate_block(NETUID, HOTKEY) == expected


async def test_a_missing_item_of_the_runtime_is_named(nodes: Nodes) -> None:
    nodes.scripts[NODE].compose_error = ValueError("Call not found")
    with pytest.raises(FailureError) as caught:
        await SubtensorWriter(NODE).sign(CALL, FakeSigner(1))
    assert caught.value.code is ErrorCode.RUNTIME_UNSUPPORTED


async def test_weights_are_on_chain_in_their_mechanism_only(nodes: Nodes) -> None:
    nodes.scripts[NODE].storage |= {
        "Uids": 0,
        "LastUpdate": lambda keys, _number: [105 if keys[0] == NETUID else 3],
    }
    writer = SubtensorWriter(NODE)
    for mechanism, is_on_chain in ((MechanismId(0), True), (MechanismId(1), False)):
        assert is_on_chain is await writer.is_on_chain(
            JobKind.WEIGHTS, NETUID, mechanism, HOTKEY, BlockNumber(105)
        )


async def test_a_guard_replaces_the_connections_once_the_chain_is_bound(nodes: Nodes) -> None:
    class Guard:
        def __init__(self) -> None:
            self.callbacks: list[Callable[[], None]] = []

        def check_genesis(self, genesis: str) -> None: ...

        def check_archive_genesis(self, genesis: str) -> None: ...

        def on_bound(self, callback: Callable[[], None]) -> None:
            self.callbacks.append(callback)

    guard = Guard()
    SubtensorWriter(NODE, guard=guard)  # pyright: ignore[reportArgumentType] -- the part that is used
    assert len(guard.callbacks) == 1
    SubtensorWriter(NODE, ARCHIVE, guard=guard)  # pyright: ignore[reportArgumentType] -- the same
    assert len(guard.callbacks) == 3
