"""The unmodified SDK writes to the devnet, and reads back what it wrote."""

import asyncio
from collections import Counter
from typing import Any

import bittensor
import bittensor_core
import pytest
from bittensor import calls
from bittensor.sp_core import Keypair

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import dev_coldkey_seed, hotkey
from tests.support.chain.dev_wallet import DevWallet, dev_wallet
from tests.support.chain.sdk_storage import st

COLDKEY = {"signer": "coldkey"}
HOTKEY = {"signer": "hotkey"}
UNREACHED_ROUND = 10**9
"""A drand round of the next century: data encrypted for it stays encrypted."""


async def submit(client: bittensor.Client, call: Any, wallet: DevWallet, **how: Any) -> Any:
    result = await client.submit_call(call, wallet, **{**HOTKEY, **how})
    assert result.success, result
    return result


async def test_plain_weights_are_set(live: Devnet, writer: bittensor.Client) -> None:
    intent = bittensor.SetWeights(netuid=1, weights={70: 0.25, 80: 0.75})
    result = await writer.execute(intent, dev_wallet("sn1"))
    assert result.success
    assert Counter(one["event_id"] for one in result.events) == {
        "WeightsSet": 1,
        "TransactionFeePaid": 1,
        "ExtrinsicSuccess": 1,
    }
    row = await writer.query(st.SubtensorModule.Weights, [1, 0])
    assert [tuple(pair) for pair in row] == [(70, 21845), (80, 65535)]
    (applied,) = live.applied_extrinsics()
    updates = await writer.query(st.SubtensorModule.LastUpdate, [1])
    assert updates[0] == applied.block_number
    assert live.applied_counts() == {hotkey(1, 0): {"SubtensorModule.set_mechanism_weights": 1}}


async def test_timelocked_weights_are_stored_and_revealed() -> None:
    options = DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=400)
    async with Devnet(options) as live, bittensor.Client(live.url) as writer:
        intent = bittensor.SetWeights(netuid=12, weights={20: 1, 30: 3})
        result = await writer.execute(intent, dev_wallet("sn12"))
        assert result.success
        live.pause()
        rows = await writer.query_map(st.SubtensorModule.TimelockedWeightCommits, [12])
        ((epoch, ((who, block, ciphertext, reveal_round),)),) = rows
        assert (epoch, who) == (0, hotkey(12, 0))
        assert block == live.applied_extrinsics()[0].block_number
        assert reveal_round == result.data["reveal_round"]
        raw = live.chain.state_at_hash(None).get_raw(
            "SubtensorModule", "TimelockedWeightCommits", 12, 0
        )
        assert raw is not None
        assert bytes.fromhex(ciphertext.removeprefix("0x")) in raw
        updates = await writer.query(st.SubtensorModule.LastUpdate, [12])
        assert updates[0] == block

        live.reveal(12, hotkey(12, 0), [20, 30], [21845, 65535])
        before = await writer.query(st.SubtensorModule.Weights, [12, 0])
        await live.advance()
        assert await writer.query(st.SubtensorModule.Weights, [12, 0]) == []
        live.trigger_epoch(12)
        await live.advance()
        assert await writer.query(st.SubtensorModule.SubnetEpochIndex, [12]) == 1
        assert before == []
        row = await writer.query(st.SubtensorModule.Weights, [12, 0])
        assert [tuple(pair) for pair in row] == [(20, 21845), (30, 65535)]
        assert await writer.query_map(st.SubtensorModule.TimelockedWeightCommits, [12]) == []
        revealed = [one["attributes"] for one in live.events() if "Revealed" in one["event_id"]]
        assert [tuple(one) for one in revealed] == [(12, hotkey(12, 0))]


async def test_a_commit_that_nobody_reveals_expires(live: Devnet, writer: bittensor.Client) -> None:
    intent = bittensor.SetWeights(netuid=12, weights={20: 1, 30: 3})
    assert (await writer.execute(intent, dev_wallet("sn12"))).success
    live.pause()
    for _ in range(2):
        live.trigger_epoch(12)
        await live.advance()
    assert await writer.query_map(st.SubtensorModule.TimelockedWeightCommits, [12]) == []
    assert await writer.query(st.SubtensorModule.Weights, [12, 0]) == []


async def test_epochs_turn_weights_into_incentive(live: Devnet, writer: bittensor.Client) -> None:
    live.set_hyperparameter(2, "Kappa", 100)
    before = await writer.query(st.SubtensorModule.Incentive, [2])
    intent = bittensor.SetWeights(netuid=2, weights={9: 1.0})
    assert (await writer.execute(intent, dev_wallet("sn2"))).success
    live.pause()
    live.trigger_epoch(2)
    await live.advance()
    after = await writer.query(st.SubtensorModule.Incentive, [2])
    assert after[9] > before[9]
    assert sum(after) == pytest.approx(65535, abs=16)
    status = await writer.epochs.epoch_status(2)
    assert status["last_epoch_block"] == live.best_number
    assert (status["blocks_since_last_step"], status["pending_epoch_at"]) == (0, None)
    assert status["next_epoch_start_block"] == live.best_number + 60
    dividends = await writer.query(st.SubtensorModule.Dividends, [2])
    assert dividends[0] > 0


@pytest.mark.parametrize(
    "data",
    [b"plain text", b"\xff\xfe\x00\x01", b"0xabcd", "\u00fcml\u00e4ut".encode(), b"", b"x" * 128],
    ids=["text", "bytes", "looks-like-hex", "utf8", "empty", "longest"],
)
async def test_commitments_come_back_byte_for_byte(
    live: Devnet, writer: bittensor.Client, data: bytes
) -> None:
    info = {"fields": [{f"Raw{len(data)}": data}]}
    await submit(writer, calls.Commitments.set_commitment(netuid=1, info=info), dev_wallet("sn1"))
    raw = live.chain.state_at_hash(None).get_raw("Commitments", "CommitmentOf", 1, hotkey(1, 0))
    assert raw is not None
    # Deposit (8 bytes), block (4), one field, its variant, the data.
    assert raw[12:] == bytes([4, 1 + len(data)]) + data
    stored = await writer.query(st.Commitments.CommitmentOf, [1, hotkey(1, 0)])
    assert stored["block"] == live.applied_extrinsics()[0].block_number
    assert await writer.query(st.Commitments.LastCommitment, [1, hotkey(1, 0)]) == stored["block"]


async def test_every_kind_of_commitment(live: Devnet, writer: bittensor.Client) -> None:
    live.set_storage("Commitments", "MaxSpace", [], 100_000)
    kinds: list[Any] = [
        {"BlakeTwo256": b"\x01" * 32},
        {"Sha256": b"\x02" * 32},
        {"Keccak256": b"\x03" * 32},
        {"ShaThree256": b"\x04" * 32},
        {"BigRaw": b"\xf0" * 400},
        "ResetBondsFlag",
        "None",
        {"TimelockEncrypted": {"encrypted": b"\xf5" * 300, "reveal_round": UNREACHED_ROUND}},
    ]
    for kind in kinds:
        call = calls.Commitments.set_commitment(netuid=1, info={"fields": [kind]})
        await submit(writer, call, dev_wallet("sn1"), wait_for_finalization=False)
        stored = await writer.query(st.Commitments.CommitmentOf, [1, hotkey(1, 0)])
        (read,) = stored["info"]["fields"]
        name = kind if isinstance(kind, str) else next(iter(kind))
        assert read == name or name in read
    commitments = await writer.subnets.metagraph(1)
    mine = commitments.commitments[0]
    assert (mine.encrypted, mine.reveal_round) == (True, UNREACHED_ROUND)
    assert await writer.query(st.Commitments.TimelockedIndex) == [(1, hotkey(1, 0))]
    reset = await writer.query(st.Commitments.LastBondsReset, [1, hotkey(1, 0)])
    assert reset is not None


async def test_an_axon_with_a_certificate(live: Devnet, writer: bittensor.Client) -> None:
    intent = bittensor.ServeAxonTls(
        netuid=1, ip="2001:db8::7", port=8091, certificate="0x01" + "ff" * 64
    )
    assert (await writer.execute(intent, dev_wallet("sn1"))).success
    neuron = (await writer.neurons.all(1))[0]
    assert neuron.raw["axon_info"]["port"] == 8091
    assert neuron.raw["axon_info"]["ip_type"] == 6
    certificate = await writer.query(st.SubtensorModule.NeuronCertificates, [1, hotkey(1, 0)])
    assert certificate == {"public_key": "0x" + "ff" * 64, "algorithm": 1}


async def test_prometheus(live: Devnet, writer: bittensor.Client) -> None:
    intent = bittensor.ServePrometheus(netuid=1, ip="203.0.113.9", port=9100)
    assert (await writer.execute(intent, dev_wallet("sn1"))).success
    served = await writer.query(st.SubtensorModule.Prometheus, [1, hotkey(1, 0)])
    assert served["port"] == 9100


async def test_a_registration_uses_a_free_uid_or_that_of_the_lowest_emission(
    live: Devnet, writer: bittensor.Client
) -> None:
    owner = dev_wallet("newcomer", "sn1")
    for netuid, count in ((2, 17), (1, 256)):
        call = calls.SubtensorModule.burned_register(
            netuid=netuid, hotkey=owner.hotkey.ss58_address
        )
        emission = await writer.query(st.SubtensorModule.Emission, [netuid])
        await submit(writer, call, owner, **COLDKEY)
        uid = await writer.query(st.SubtensorModule.Uids, [netuid, owner.hotkey.ss58_address])
        if netuid == 1:
            assert emission[uid] == min(emission)
        else:
            assert uid == count - 1
        neurons = await writer.neurons.all(netuid)
        assert neurons[uid].hotkey == owner.hotkey.ss58_address
        assert len({one.hotkey for one in neurons}) == len(neurons) == count


async def test_transfers_and_fees(live: Devnet, writer: bittensor.Client) -> None:
    payer, payee = dev_wallet("sn1"), dev_wallet("sn2")
    before = await writer.balances.get(payee.coldkey.ss58_address)
    dest = payee.coldkey.ss58_address
    call = calls.Balances.transfer_keep_alive(dest=dest, value=5_000_000_000)
    result = await submit(writer, call, payer, **COLDKEY)
    assert result.fee.rao > 100_000
    after = await writer.balances.get(payee.coldkey.ss58_address)
    assert after.rao - before.rao == 5_000_000_000
    left = await writer.balances.get(payer.coldkey.ss58_address)
    assert left.rao == 1_000_000_000_000 - 5_000_000_000 - result.fee.rao


async def test_hyperparameters_by_sudo_and_by_the_owner(
    live: Devnet, writer: bittensor.Client
) -> None:
    root, owner = dev_wallet("x", "sudo"), dev_wallet("x", "owner")
    inner = await writer.compose(calls.AdminUtils.sudo_set_tempo(netuid=1, tempo=99))
    await submit(writer, calls.Sudo.sudo(call=inner), root, **COLDKEY)
    assert await writer.query(st.SubtensorModule.Tempo, [1]) == 99
    began = live.applied_extrinsics()[-1].block_number
    assert await writer.query(st.SubtensorModule.LastEpochBlock, [1]) == began
    call = calls.AdminUtils.sudo_set_min_allowed_weights(netuid=1, min_allowed_weights=3)
    await submit(writer, call, owner, **COLDKEY)
    assert await writer.query(st.SubtensorModule.MinAllowedWeights, [1]) == 3
    refused = await writer.submit_call(call, dev_wallet("sn1"), **COLDKEY)
    assert (refused.success, refused.error.name) == (False, "BadOrigin")


async def test_batches(live: Devnet, writer: bittensor.Client) -> None:
    remark = await writer.compose(calls.System.remark(remark=b"\xff\x00"))
    with_event = await writer.compose(calls.System.remark_with_event(remark=b"0x12"))
    wallet = dev_wallet("sn1")
    result = await submit(writer, calls.Utility.batch_all(calls=[remark, with_event]), wallet)
    names = [one["event_id"] for one in result.events]
    assert names.count("ItemCompleted") == 2
    assert "Remarked" in names
    root_only = await writer.compose(calls.AdminUtils.sudo_set_stake_threshold(min_stake=1))
    batch = calls.Utility.batch(calls=[remark, root_only, with_event])
    refused = await writer.submit_call(batch, wallet, **HOTKEY)
    assert (refused.success, refused.error.name) == (False, "BadOrigin")
    forced = calls.Utility.force_batch(calls=[remark, root_only, with_event])
    await writer.submit_call(forced, wallet, **HOTKEY)
    included = live.applied_extrinsics()[-1].block_number
    names = [one["event_id"] for one in live.events(included)]
    assert (names.count("ItemCompleted"), names.count("ItemFailed")) == (2, 1)
    assert "BatchCompletedWithErrors" in names


async def test_five_concurrent_extrinsics_of_one_key_are_included(
    live: Devnet, writer: bittensor.Client
) -> None:
    wallet = dev_wallet("sn1")
    call = calls.System.remark(remark=b"!")
    results = await asyncio.gather(*(submit(writer, call, wallet) for _ in range(5)))
    assert len({result.extrinsic_id for result in results}) == 5
    assert [one.nonce for one in live.applied_extrinsics()] == [0, 1, 2, 3, 4]


async def test_ed25519_signatures_are_accepted(live: Devnet, writer: bittensor.Client) -> None:
    seed = dev_coldkey_seed("an ed25519 key")
    core: Any = bittensor_core  # of Rust, without types
    keypair = Keypair.create_from_seed(seed, core.CRYPTO_ED25519)
    wallet = dev_wallet("sn1")
    dest = keypair.ss58_address
    await submit(
        writer, calls.Balances.transfer_keep_alive(dest=dest, value=10**9), wallet, **COLDKEY
    )
    wallet_of_ed25519 = DevWallet("ed", keypair, keypair)
    await submit(writer, calls.System.remark(remark=b"."), wallet_of_ed25519)
    assert live.applied_extrinsics()[-1].signer == keypair.ss58_address
