"""Writes to a devnet through the unmodified SDK."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from pylon.chain.subtensor_writer import ERA_PERIOD_BLOCKS, SubtensorWriter
from pylon.chain.write_port import (
    CertificateCall,
    CommitmentCall,
    Inclusion,
    RefusalKind,
    RefusedError,
    SignedCall,
    TimelockedCommitmentCall,
    WeightsCall,
    WriteCall,
)
from pylon.common.signer import Signer
from pylon.wallets.hotkeys import open_hotkey
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import (
    BlockNumber,
    Hotkey,
    JobKind,
    MechanismId,
    NetUid,
    NeuronUid,
)
from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.dev_wallets import write_wallet
from tests.support.nats.tcp_proxy import TcpProxy
from tests.support.product.eventually import comes_true
from tests.support.product.secret_texts import MARK, SHORT_SECRET, with_keys

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST = MechanismId(0)


@pytest_asyncio.fixture(loop_scope="module")
async def chain(devnet: Devnet) -> AsyncGenerator[SubtensorWriter]:
    submission = SubtensorWriter(devnet.url)
    yield submission
    await submission.close()


def signer_of(folder: Path, name: str) -> Signer:
    write_wallet(folder, name, "default")
    return open_hotkey(folder, name, "default")


async def test_the_log_names_the_node_by_its_host_and_port(
    devnet: Devnet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    submission = SubtensorWriter(with_keys(devnet.url))
    try:
        assert (await submission.tip()).best >= 0
    finally:
        await submission.close()
    assert f"Connected to {devnet.url.rstrip('/')}\n" in caplog.text
    assert MARK not in caplog.text
    assert SHORT_SECRET not in caplog.text


async def weights(chain: SubtensorWriter, netuid: int, own: Hotkey) -> WeightsCall:
    facts = await chain.weights_state(NetUid(netuid), FIRST, own, [])
    return WeightsCall(NetUid(netuid), FIRST, {NeuronUid(5): 65_535}, 0, facts.commit_reveal)


async def settled(chain: SubtensorWriter, signed: SignedCall) -> Inclusion | None:
    last = signed.record.last_valid_block
    found: list[Inclusion] = []

    async def known() -> bool:
        final = (await chain.tip()).finalized
        inclusion = await chain.find_extrinsic(
            signed.record, signed.record.era_birth, BlockNumber(min(final, last))
        )
        found.extend([inclusion] if inclusion else [])
        return bool(found) or final >= last

    await comes_true(known)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("identity", "netuid", "kind", "call"),
    [
        ("sn2", 2, JobKind.WEIGHTS, None),
        ("sn2", 2, JobKind.COMMITMENT, CommitmentCall(NetUid(2), b"\xff\x00pylon")),
        ("sn2", 2, JobKind.REVEALED_COMMITMENT, TimelockedCommitmentCall(NetUid(2), "later", 100)),
        ("sn2", 2, JobKind.CERTIFICATE, CertificateCall(NetUid(2), 1, bytes(range(32)))),
        ("sn12", 12, JobKind.WEIGHTS, None),
    ],
)
async def test_a_write_is_found_and_is_on_chain(
    devnet: Devnet,
    chain: SubtensorWriter,
    tmp_path: Path,
    identity: str,
    netuid: int,
    kind: JobKind,
    call: WriteCall | None,
) -> None:
    for item in ("MinAllowedWeights", "WeightsSetRateLimit"):
        devnet.set_hyperparameter(netuid, item, 0)
    signer = signer_of(tmp_path, identity)
    own = Hotkey(signer.ss58_address)
    await devnet.advance(1)
    signed = await chain.sign(call or await weights(chain, netuid, own), signer)
    assert devnet.applied_counts().get(own) is None
    await chain.submit(signed)
    inclusion = await settled(chain, signed)
    assert inclusion is not None
    assert inclusion.refusal is None
    assert await chain.is_on_chain(kind, NetUid(netuid), FIRST, own, inclusion.block)
    assert not await chain.is_on_chain(
        kind, NetUid(netuid), FIRST, own, BlockNumber(inclusion.block - 1)
    )
    timelocked = kind is JobKind.REVEALED_COMMITMENT or identity == "sn12"
    assert (signed.reveal_round is not None) == timelocked
    assert sum(devnet.applied_counts()[own].values()) == 1


async def test_weights_state_is_that_of_the_subnet(
    devnet: Devnet, chain: SubtensorWriter, tmp_path: Path
) -> None:
    own = Hotkey(signer_of(tmp_path, "sn12").ss58_address)
    stranger = Hotkey(signer_of(tmp_path, "sn1").ss58_address)
    facts = await chain.weights_state(NetUid(12), FIRST, own, [own, stranger])
    assert facts.own_uid == facts.uids[own]
    assert stranger not in facts.uids
    assert facts.commit_reveal is not None
    assert facts.commit_reveal.version == 4
    assert facts.has_permit
    assert facts.unrevealed_commits == 0
    assert facts.epoch.tempo == 2000
    assert facts.epoch.next_start_block == facts.epoch.start_block + 2000
    assert (await chain.weights_state(NetUid(2), FIRST, own, [])).commit_reveal is None


async def test_the_pool_reports_a_rate_limit(
    devnet: Devnet, chain: SubtensorWriter, tmp_path: Path
) -> None:
    devnet.set_hyperparameter(2, "MinAllowedWeights", 0)
    devnet.set_hyperparameter(2, "WeightsSetRateLimit", 0)
    await devnet.advance(1)
    signer = signer_of(tmp_path, "sn2")
    call = await weights(chain, 2, Hotkey(signer.ss58_address))
    signed = await chain.sign(call, signer)
    devnet.refuse_extrinsics(times=1)
    with pytest.raises(RefusedError) as refused:
        await chain.submit(signed)
    assert refused.value.refusal.code is ErrorCode.RATE_LIMITED
    assert refused.value.refusal.kind is RefusalKind.RATE_LIMITED
    signed = await chain.sign(call, signer)
    await chain.submit(signed)
    assert await settled(chain, signed) is not None
    devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1000)
    await devnet.advance(2)
    with pytest.raises(RefusedError) as refused:
        await chain.submit(await chain.sign(call, signer))
    assert refused.value.refusal.kind is RefusalKind.RATE_LIMITED


@pytest.mark.parametrize(
    ("refused_for", "connections"),
    # A signature may be wrong because the connection has an old runtime version.
    [("Transaction is outdated", 1), ("Transaction has a bad signature", 3)],
)
async def test_a_refusal_that_a_new_signature_resolves_is_retried(
    devnet: Devnet, tmp_path: Path, refused_for: str, connections: int
) -> None:
    signer = signer_of(tmp_path, "sn2")
    call = CommitmentCall(NetUid(2), b"x")
    async with TcpProxy(int(devnet.url.rpartition(":")[2])) as proxy:
        chain = SubtensorWriter(f"ws://127.0.0.1:{proxy.port}")
        for _ in range(2):
            signed = await chain.sign(call, signer)
            devnet.refuse_extrinsics(times=1, data=refused_for)
            with pytest.raises(RefusedError) as refused:
                await chain.submit(signed)
            assert refused.value.refusal.kind is RefusalKind.RETRY
        signed = await chain.sign(call, signer)
        await chain.submit(signed)
        assert await settled(chain, signed) is not None
        assert proxy.accepted == connections
        await chain.close()


async def test_a_clock_that_is_behind_does_not_affect_timelocks(
    devnet: Devnet, chain: SubtensorWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = signer_of(tmp_path, "sn2")
    call = TimelockedCommitmentCall(NetUid(2), "x", 3)
    await devnet.advance(1)
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s - 600)
    with pytest.raises(FailureError, match=r"clock is 6\d\d s behind") as refused:
        await chain.sign(call, signer)
    assert refused.value.code is ErrorCode.MISCONFIGURED
    await chain.sign(CommitmentCall(NetUid(2), b"open"), signer)
    monkeypatch.undo()
    await chain.sign(call, signer)


async def test_a_job_whose_deadline_passes_before_signing_is_not_submitted(
    devnet: Devnet, chain: SubtensorWriter, tmp_path: Path
) -> None:
    signer = signer_of(tmp_path, "sn2")
    call = CommitmentCall(NetUid(2), b"x")
    devnet.stall_finality()
    await devnet.advance(ERA_PERIOD_BLOCKS + 2)
    with pytest.raises(FailureError, match="Finality is") as refused:
        await chain.sign(call, signer)
    assert refused.value.failure.retryable
    devnet.resume_finality()
    await devnet.advance(2)
    signed = await chain.sign(call, signer)
    await chain.submit(signed)
    assert await settled(chain, signed) is not None


async def test_a_limit_of_the_node_is_not_a_rate_limit_of_the_chain(
    devnet: Devnet, chain: SubtensorWriter, tmp_path: Path
) -> None:
    """Such an error does not show that the chain refused the write."""
    signer = signer_of(tmp_path, "sn2")
    call = CertificateCall(NetUid(2), 1, bytes(range(32)))
    await chain.sign(call, signer)
    for text in ("RPC rate limit exceeded", "insufficient resources"):
        devnet.fail_method("state_getStorageAt", times=100, code=-32000, message=text)
        with pytest.raises(FailureError):
            await chain.sign(call, signer)
        devnet.fail_method("state_getStorageAt", times=0)
    assert (await chain.sign(call, signer)).record.nonce == 0


async def test_the_number_of_an_unnamed_refusal_is_reported(
    devnet: Devnet, chain: SubtensorWriter, tmp_path: Path
) -> None:
    signed = await chain.sign(CommitmentCall(NetUid(2), b"x"), signer_of(tmp_path, "sn2"))
    devnet.refuse_extrinsics(times=1, data="Custom error: 200")
    with pytest.raises(RefusedError) as refused:
        await chain.submit(signed)
    assert "Custom error: 200" in refused.value.refusal.detail


async def test_a_dropped_extrinsic_is_in_no_block_of_its_era(
    devnet: Devnet, chain: SubtensorWriter, tmp_path: Path
) -> None:
    signer = signer_of(tmp_path, "sn2")
    devnet.swallow_extrinsics(times=1)
    signed = await chain.sign(CommitmentCall(NetUid(2), b"x"), signer)
    await chain.submit(signed)
    assert await settled(chain, signed) is None


async def test_an_old_write_is_searched_in_the_archive(tmp_path: Path) -> None:
    options = DevnetOptions(
        port=0, active=False, autostart=False, genesis_time_ms=1_700_000_000_000
    )
    signer = signer_of(tmp_path, "sn2")
    own = Hotkey(signer.ss58_address)
    async with Devnet(options) as main, Devnet(options) as archive:
        chain, alone = SubtensorWriter(main.url, archive.url), SubtensorWriter(main.url)
        signed = await chain.sign(CommitmentCall(NetUid(2), b"old"), signer)
        for node in (main, archive):
            sender = SubtensorWriter(node.url)
            await sender.submit(signed)
            await sender.close()
            await node.advance(30)
        record = signed.record
        cautious = SubtensorWriter(main.url, archive_cutoff_blocks=1)
        await cautious.tip()
        assert (
            await cautious.find_extrinsic(record, record.era_birth, record.last_valid_block)
            is not None
        )
        await cautious.close()
        main.prune(keep_blocks=5)
        try:
            await asyncio.gather(chain.tip(), alone.tip())
            found = await chain.find_extrinsic(record, record.era_birth, record.last_valid_block)
            assert found == Inclusion(BlockNumber(signed.signed_at_block + 1))
            assert await chain.is_on_chain(JobKind.COMMITMENT, NetUid(2), None, own, found.block)
            with pytest.raises(FailureError) as refused:
                await alone.find_extrinsic(record, record.era_birth, record.last_valid_block)
            assert refused.value.code is ErrorCode.ARCHIVE_REQUIRED
        finally:
            await chain.close()
            await alone.close()
