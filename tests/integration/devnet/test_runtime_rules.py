"""Rules of the real runtime that a simulation gets wrong easily, each with the SDK's own calls."""

from typing import Any

import bittensor
import pytest
from bittensor import calls
from bittensor._generated.runtime_apis import SubnetInfoRuntimeApi

from pylon_devnet import Devnet
from pylon_devnet.population import hotkey
from tests.integration.devnet.on_demand import included, pool_refusal
from tests.support.chain.dev_wallet import dev_wallet
from tests.support.chain.sdk_storage import st

SUBTENSOR = "SubtensorModule"
FUTURE = 1 << 40


def weights(uids: Any = (70,), values: Any = (65535,)) -> Any:
    return calls.SubtensorModule.set_weights(
        netuid=1, dests=list(uids), weights=list(values), version_key=0
    )


def commit(reveal_round: int = FUTURE) -> Any:
    return calls.SubtensorModule.commit_timelocked_weights(
        netuid=12, commit=b"\xee" * 10, reveal_round=reveal_round, commit_reveal_version=4
    )


def commitment(size: int) -> Any:
    info = {"fields": [{f"Raw{size}": b"\x01" * size}]}
    return calls.Commitments.set_commitment(netuid=1, info=info)


async def test_tao_stake_is_not_weighted(devnet: Devnet, client: bittensor.Client) -> None:
    """get_subnet_state answers the stake on root; its weight counts in the total alone."""
    key = hotkey(1, 1)
    devnet.set_storage(SUBTENSOR, "TotalHotkeyAlpha", [key, 0], 5_000)
    devnet.set_storage(SUBTENSOR, "TotalHotkeyAlpha", [key, 1], 7_000)
    devnet.set_storage(SUBTENSOR, "TaoWeight", [], (1 << 64) // 4)
    await devnet.advance()
    state = await client.runtime(SubnetInfoRuntimeApi.get_subnet_state, [1])
    alpha = state["alpha_stake"][1]
    assert state["tao_stake"][1] == 5_000
    assert state["total_stake"][1] == alpha + 1_250


async def test_a_commit_that_is_too_soon_fails_in_its_block(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """The pool does not check the rate limit of timelocked commits."""
    assert await included(devnet, client, commit(), dev_wallet("sn12")) is None
    error = await included(devnet, client, commit(), dev_wallet("sn12"))
    assert error == "SubtensorModule.CommittingWeightsTooFast"


@pytest.mark.parametrize("blocks_early", [0, 1])
async def test_weights_are_accepted_in_the_first_block_that_the_limit_allows(
    devnet: Devnet, client: bittensor.Client, blocks_early: int
) -> None:
    """The pool checks a call as if in the next block: last update + limit is soon enough."""
    devnet.set_hyperparameter(1, "WeightsSetRateLimit", 5)
    await devnet.advance()
    assert await included(devnet, client, weights(), dev_wallet("sn1")) is None
    last_update = devnet.best_number
    await devnet.advance(4 - blocks_early)
    if blocks_early:
        refusal = await pool_refusal(client, weights(), dev_wallet("sn1"))
        assert refusal == "RateLimitExceeded"
        return
    assert await included(devnet, client, weights(), dev_wallet("sn1")) is None
    assert devnet.best_number == last_update + 5


async def test_the_owner_needs_neither_permit_nor_stake(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """The registered hotkey of a subnet's owner may set weights; another one may not."""
    devnet.set_hyperparameter(1, "WeightsSetRateLimit", 0)
    devnet.set_storage(SUBTENSOR, "ValidatorPermit", [1], [False] * 256)
    for uid in (1, 2):
        for netuid in (0, 1):
            devnet.set_storage(SUBTENSOR, "TotalHotkeyAlpha", [hotkey(1, uid), netuid], 0)
    await devnet.advance()
    assert await client.query(st.SubtensorModule.SubnetOwnerHotkey, [1]) == hotkey(1, 1)
    assert await included(devnet, client, weights(), dev_wallet("sn1-1")) is None
    assert await pool_refusal(client, weights(), dev_wallet("sn1-2")) == "StakeAmountTooLow"
    # Without the need of stake the permit is what the other one lacks.
    devnet.set_storage(SUBTENSOR, "StakeThreshold", [], 0)
    await devnet.advance()
    error = await included(devnet, client, weights(), dev_wallet("sn1-2"))
    assert error == "SubtensorModule.NeuronNoValidatorPermit"


async def test_ten_commits_are_accepted_in_each_epoch(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """TooManyUnrevealedCommits counts the commits of the current epoch alone."""
    devnet.set_hyperparameter(12, "WeightsSetRateLimit", 0)
    devnet.set_hyperparameter(12, "Tempo", 400)
    await devnet.advance()
    for _ in range(10):
        assert await included(devnet, client, commit(), dev_wallet("sn12")) is None
    error = await included(devnet, client, commit(), dev_wallet("sn12"))
    assert error == "SubtensorModule.TooManyUnrevealedCommits"
    devnet.trigger_epoch(12)
    await devnet.advance()
    assert await included(devnet, client, commit(), dev_wallet("sn12")) is None
    rows = await client.query_map(st.SubtensorModule.TimelockedWeightCommits, [12])
    assert {epoch: len(commits) for epoch, commits in rows} == {0: 10, 1: 1}


async def test_a_commit_of_a_past_round_fails_in_a_block(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """The pool sees the call itself alone; in a batch it fails before it is dispatched."""
    devnet.set_storage("System", "Account", [hotkey(12, 0)], FUNDED)
    await devnet.advance()
    last = await client.query(st.Drand.LastStoredRound)
    assert await pool_refusal(client, commit(last - 1), dev_wallet("sn12")) == "InvalidRevealRound"
    inner = await client.compose(commit(last - 1))
    batch = calls.Utility.batch_all(calls=[inner])
    error = await included(devnet, client, batch, dev_wallet("sn12"))
    assert error == "SubtensorModule.InvalidRevealRound"


async def test_the_largest_weight_is_never_limited(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """The limit is a constant of 65535, whatever the storage item holds."""
    devnet.set_storage(SUBTENSOR, "MaxWeightsLimit", [1], 40_000)
    await devnet.advance()
    row = weights(uids=(70, 71), values=(9, 1))
    assert await included(devnet, client, row, dev_wallet("sn1")) is None
    for method, limit in (
        (SubnetInfoRuntimeApi.get_subnet_hyperparams, "max_weights_limit"),
        (SubnetInfoRuntimeApi.get_metagraph, "max_weights_limit"),
    ):
        assert (await client.runtime(method, [1]))[limit] == 65_535


async def test_weights_are_stored_as_the_chain_rounds_them(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """The chain scales [1, 2, 3, 4] up to the largest u16, and rounds halves up."""
    row = weights(uids=(70, 71, 72, 73), values=(1, 2, 3, 4))
    assert await included(devnet, client, row, dev_wallet("sn1")) is None
    stored = await client.query(st.SubtensorModule.Weights, [1, 0])
    assert [weight for _, weight in stored] == [16384, 32768, 49151, 65535]


async def test_commitments_take_the_space_of_their_data(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """A commitment costs the bytes of its data, at least 100, without those of its encoding."""
    devnet.set_storage("Commitments", "MaxSpace", [], 256)
    await devnet.advance()
    for _ in range(2):
        assert await included(devnet, client, commitment(128), dev_wallet("sn1")) is None
    usage = await client.query(st.Commitments.UsedSpaceOf, [1, hotkey(1, 0)])
    assert usage["used_space"] == 256
    error = await included(devnet, client, commitment(1), dev_wallet("sn1"))
    assert error == "Commitments.SpaceLimitExceeded"


async def test_commitments_are_free(devnet: Devnet, client: bittensor.Client) -> None:
    """A hotkey without a balance may commit."""
    assert (await client.balances.get(hotkey(1, 70))).rao == 0
    assert await included(devnet, client, commitment(128), dev_wallet("sn1-70")) is None


async def test_bounded_data_is_refused_before_it_is_read(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """The node cannot decode more than 1,024 timelocked bytes, 512 plain ones, or three fields."""
    devnet.set_storage("Commitments", "MaxSpace", [], 10_000)
    await devnet.advance()

    def of(*fields: Any) -> Any:
        return calls.Commitments.set_commitment(netuid=1, info={"fields": list(fields)})

    def timelocked(size: int) -> Any:
        return {"TimelockEncrypted": {"encrypted": b"\x01" * size, "reveal_round": FUTURE}}

    for most in (of(timelocked(1024)), of({"BigRaw": b"x" * 512}), of(*["None"] * 3)):
        assert await included(devnet, client, most, dev_wallet("sn1")) is None
    for more in (of(timelocked(1025)), of({"BigRaw": b"x" * 513}), of(*["None"] * 4)):
        result = await client.submit_call(
            more, dev_wallet("sn1"), signer="hotkey", wait_for_finalization=False
        )
        assert not result.success
        assert "Verification Error" in str(result.error)
    assert len(devnet.applied_extrinsics()) == 3


async def test_two_epochs_run_in_a_block(devnet: Devnet, client: bittensor.Client) -> None:
    """Other subnets whose epoch is due are deferred to the next block, and say so."""
    for netuid in (1, 2, 12):
        devnet.trigger_epoch(netuid)
    await devnet.advance()
    number = devnet.best_number

    async def of(item: Any) -> list[Any]:
        return [await client.query(item, [netuid]) for netuid in (1, 2, 12)]

    assert await of(st.SubtensorModule.SubnetEpochIndex) == [1, 1, 0]
    assert await of(st.SubtensorModule.PendingEpochAt) == [0, 0, number + 1]
    deferred = [one["attributes"] for one in devnet.events() if one["event_id"] == "EpochDeferred"]
    assert deferred == [{"netuid": 12, "from_block": number, "to_block": number + 1}]
    await devnet.advance()
    assert await of(st.SubtensorModule.SubnetEpochIndex) == [1, 1, 1]
    assert await of(st.SubtensorModule.LastEpochBlock) == [number, number, number + 1]


async def test_a_commit_in_a_block_that_defers_its_epoch_belongs_to_the_next(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """The epoch of a commit is the one that the deferred slot begins."""
    await devnet.advance(9)
    assert await included(devnet, client, commit(), dev_wallet("sn12")) is None
    assert devnet.best_number == 20  # where the tempo ends the first epochs
    assert await client.query(st.SubtensorModule.SubnetEpochIndex, [12]) == 0
    rows = await client.query_map(st.SubtensorModule.TimelockedWeightCommits, [12])
    assert [epoch for epoch, _ in rows] == [1]


async def test_a_changed_tempo_counts_from_its_block(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """Setting the tempo begins a new cycle; a tempo of 0 ends all epochs."""
    devnet.set_hyperparameter(1, "Tempo", 30)
    await devnet.advance()
    changed = devnet.best_number
    method = SubnetInfoRuntimeApi.get_next_epoch_start_block
    assert await client.runtime(method, [1]) == changed + 30
    await devnet.advance(29)
    assert await client.query(st.SubtensorModule.SubnetEpochIndex, [1]) == 0
    await devnet.advance()
    assert await client.query(st.SubtensorModule.SubnetEpochIndex, [1]) == 1
    devnet.set_hyperparameter(1, "Tempo", 0)
    await devnet.advance(40)
    assert await client.runtime(method, [1]) is None
    assert await client.query(st.SubtensorModule.SubnetEpochIndex, [1]) == 1


async def test_a_triggered_epoch_is_announced(devnet: Devnet, client: bittensor.Client) -> None:
    """The block of an owner's epoch is on the chain before it comes."""
    at = devnet.best_number + 5
    devnet.trigger_epoch(1, blocks=5)
    await devnet.advance()
    assert await client.query(st.SubtensorModule.PendingEpochAt, [1]) == at
    await devnet.advance(3)
    assert await client.query(st.SubtensorModule.SubnetEpochIndex, [1]) == 0
    await devnet.advance()
    assert await client.query(st.SubtensorModule.LastEpochBlock, [1]) == at


async def test_a_deregistered_hotkey_loses_its_uid(
    devnet: Devnet, client: bittensor.Client
) -> None:
    """A newcomer takes the uid, and has neither a permit nor weights."""
    devnet.deregister_neuron(1, hotkey(1, 0))
    await devnet.advance()
    assert await client.query(st.SubtensorModule.Uids, [1, hotkey(1, 0)]) is None
    newcomer = await client.query(st.SubtensorModule.Keys, [1, 0])
    assert newcomer != hotkey(1, 0)
    assert await client.query(st.SubtensorModule.Uids, [1, newcomer]) == 0
    assert await client.query(st.SubtensorModule.SubnetworkN, [1]) == 256
    assert not (await client.query(st.SubtensorModule.ValidatorPermit, [1]))[0]
    with pytest.raises(ValueError, match="not registered"):
        devnet.deregister_neuron(1, hotkey(1, 0))


FUNDED = {
    "nonce": 0,
    "consumers": 0,
    "providers": 1,
    "sufficients": 0,
    "data": {"free": 10**12, "reserved": 0, "frozen": 0, "flags": 1 << 127},
}
