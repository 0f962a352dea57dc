"""The state that setting weights depends on, from the items of different runtimes."""

from typing import Any

import pytest

from pylon.chain.bounds import ImplausibleError
from pylon.chain.weights_state import (
    DEFAULT_COMMIT_REVEAL_VERSION,
    last_update_of,
    read_epoch,
    read_newest_block,
    read_weights_state,
)
from pylon.chain.write_port import CommitRevealState, Epoch, WeightsState
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import (
    MAX_BLOCK_NUMBER,
    BlockNumber,
    Hotkey,
    MechanismId,
    NetUid,
    NeuronUid,
)
from tests.support.chain.writing_sdk import BLOCK, WritingSdk

NETUID, OWN, ONE, OTHER = NetUid(1), Hotkey("own"), Hotkey("one"), Hotkey("other")
UIDS = {OWN: 2, ONE: 5}
STORAGE: dict[str, Any] = {
    "Tempo": 360,
    "LastEpochBlock": 900,
    "Uids": lambda _, hotkey: UIDS.get(hotkey),
    "CommitRevealWeightsEnabled": False,
    "WeightsSetRateLimit": 100,
    "LastUpdate": [1, 2, 950],
    "WeightsVersionKey": 7,
    "ValidatorPermit": [False, False, True],
    "MinAllowedWeights": 8,
}
"""The items of a runtime that has no optional ones."""
COMMIT_REVEAL = {
    "CommitRevealWeightsEnabled": True,
    "RevealPeriodEpochs": 2,
    "PendingEpochAt": 0,
    "SubnetEpochIndex": 3,
    "BlocksSinceLastStep": 100,
}


def sdk_of(next_epoch: int | None = 1260, **changes: Any) -> WritingSdk:
    apis = {"get_next_epoch_start_block": lambda _: next_epoch}
    return WritingSdk(storage=STORAGE | changes, apis=apis)


async def state_of(sdk: WritingSdk, mechanism: int = 0) -> WeightsState:
    return await read_weights_state(sdk, NETUID, MechanismId(mechanism), OWN, [ONE, OTHER])


async def test_the_newest_block_is_read() -> None:
    assert await read_newest_block(sdk_of()) == (1000, BLOCK.hash)


async def test_the_state_is_read_at_the_best_block() -> None:
    sdk = sdk_of()
    assert await state_of(sdk) == WeightsState(
        block=BlockNumber(1000),
        epoch=Epoch(BlockNumber(1000), 360, BlockNumber(900), BlockNumber(1260)),
        own_uid=NeuronUid(2),
        uids={ONE: NeuronUid(5)},
        has_permit=True,
        rate_limit_blocks=100,
        last_update_block=BlockNumber(950),
        version_key=7,
        min_allowed_weights=8,
    )
    assert sdk.block_hashes == {BLOCK.hash}


async def test_an_unregistered_hotkey_has_neither_uid_nor_permit() -> None:
    state = await state_of(sdk_of(Uids=lambda *_: None))
    assert (state.own_uid, state.uids, state.has_permit) == (None, {}, False)
    assert state.last_update_block == 0


@pytest.mark.parametrize("permits", [[], [True, True], [True, True, False]])
async def test_a_permit_is_for_the_own_uid(permits: list[bool]) -> None:
    assert not (await state_of(sdk_of(ValidatorPermit=permits))).has_permit


async def test_optional_items_of_newer_runtimes_are_read() -> None:
    state = await state_of(sdk_of(MaxWeightsLimit=300, SubnetOwnerHotkey=OWN))
    assert (state.max_weight_limit, state.owns_subnet) == (300, True)
    assert not (await state_of(sdk_of(SubnetOwnerHotkey=ONE))).owns_subnet


@pytest.mark.parametrize(
    ("mode", "is_null"),
    [("Null", True), ({"Null": None}, True), (1, True), ("Yuma", False), (0, False), (None, False)],
)
async def test_the_null_consensus_is_detected_in_each_form(mode: Any, is_null: bool) -> None:  # noqa: FBT001 -- a parameter
    assert (await state_of(sdk_of(SubnetEpochConsensus=mode))).has_null_consensus is is_null


async def test_missing_values_are_zero_and_the_largest_rate_limit_is_bounded() -> None:
    absent = dict.fromkeys(("Tempo", "LastEpochBlock", "LastUpdate", "WeightsVersionKey"))
    state = await state_of(sdk_of(None, **absent, WeightsSetRateLimit=2**64 - 1))
    assert state.epoch == Epoch(BlockNumber(1000), 0, BlockNumber(0), None)
    assert (state.last_update_block, state.version_key) == (0, 0)
    assert state.rate_limit_blocks == MAX_BLOCK_NUMBER


@pytest.mark.parametrize(("stored", "version"), [({}, DEFAULT_COMMIT_REVEAL_VERSION), (5, 5)])
async def test_commit_reveal_is_read_where_it_is_enabled(stored: Any, version: int) -> None:
    more = {} if stored == {} else {"CommitRevealWeightsVersion": stored}
    state = await state_of(sdk_of(**COMMIT_REVEAL, **more))
    assert state.commit_reveal == CommitRevealState(
        version=version,
        block=BlockNumber(1000),
        tempo=360,
        reveal_period_epochs=2,
        last_epoch_block=900,
        pending_epoch_at=0,
        epoch_index=3,
        blocks_since_last_step=100,
    )
    assert (await state_of(sdk_of())).commit_reveal is None


@pytest.mark.parametrize(
    ("last_update", "count"), [(900, 2), (899, 0)], ids=["this epoch", "an earlier epoch"]
)
async def test_own_commits_of_this_epoch_are_counted(last_update: int, count: int) -> None:
    asked: list[tuple[int, int]] = []

    def commits(index: int, epoch: int) -> list[Any]:
        asked.append((index, epoch))
        return [(OWN, 1), (ONE, 2), (OWN, 3)]

    sdk = sdk_of(**COMMIT_REVEAL, LastUpdate=[0, 0, last_update], TimelockedWeightCommits=commits)
    state = await state_of(sdk, mechanism=1)
    assert state.unrevealed_commits == count
    assert asked == ([(4097, 3)] if count else [])
    older = await state_of(sdk_of(**COMMIT_REVEAL, LastUpdate=[0, 0, last_update]))
    assert older.unrevealed_commits == 0, "a runtime without this item"


@pytest.mark.parametrize("missing", [*STORAGE, "get_next_epoch_start_block"])
async def test_a_missing_item_is_named(missing: str) -> None:
    sdk = sdk_of()
    sdk.storage.pop(missing, None)
    sdk.apis.pop(missing, None)
    with pytest.raises(FailureError, match=missing) as caught:
        await state_of(sdk)
    assert caught.value.code is ErrorCode.RUNTIME_UNSUPPORTED


@pytest.mark.parametrize(
    "changes",
    [
        {"Tempo": 70_000},
        {"LastEpochBlock": -1},
        {"LastUpdate": [0, 0, 2**32]},
        {"Uids": lambda *_: 70_000},
        {"MinAllowedWeights": "8"},
        {"WeightsSetRateLimit": 2**64},
        {"MaxWeightsLimit": 70_000},
    ],
)
async def test_numbers_out_of_bounds_are_implausible(changes: dict[str, Any]) -> None:
    with pytest.raises(ImplausibleError):
        await state_of(sdk_of(**changes))


async def test_an_epoch_is_read_at_a_past_block() -> None:
    sdk = sdk_of()
    past = "0x" + "11" * 32
    epoch = await read_epoch(sdk, NETUID, BlockNumber(950), past)
    assert epoch == Epoch(BlockNumber(950), 360, BlockNumber(900), BlockNumber(1260))
    assert sdk.block_hashes == {past}


@pytest.mark.parametrize(
    ("updates", "uid", "block"),
    [(None, 0, 0), ([], 0, 0), ([5], None, 0), ([5], 1, 0), ([5], 0, 5)],
)
def test_a_neuron_without_an_entry_never_updated(
    updates: list[int] | None, uid: int | None, block: int
) -> None:
    assert last_update_of(updates, None if uid is None else NeuronUid(uid)) == block
