"""A timelocked commitment from its request to the reads after its reveal."""

import asyncio
import json
from pathlib import Path
from typing import Any

import bittensor
import pytest

from pylon.chain.reveal_status import read_reveal_status
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.chain.write_port import RevealStatus, TimelockedCommitmentCall
from pylon.wallets.hotkeys import open_hotkey
from pylon_client._async.identity import AsyncIdentity
from pylon_client.v1 import (
    BlockNumber,
    Hotkey,
    JobState,
    NetUid,
    SetRevealedCommitmentResponse,
)
from pylon_devnet import Devnet
from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import hotkey
from tests.integration.devnet.test_btcli import btcli
from tests.support.chain.timelock import ROUND_1000
from tests.support.product.environments import ROOT, python_with
from tests.support.product.eventually import HANGS_AFTER_S, comes_true, eventually
from tests.support.product.job_deployment import Deployment, IdentityOf, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = 'plain hello {"é": 1}'
OWN = hotkey(2, 0)
BLOCKS = 30
"""Blocks until the reveal: few, because the job is checked often only after it is due."""


async def timelocked(sn2: AsyncIdentity) -> SetRevealedCommitmentResponse:
    return await sn2.set_revealed_commitment(TEXT, blocks_until_reveal=BLOCKS)


async def by_turbobt(devnet: Devnet) -> Any:
    python = await asyncio.to_thread(python_with, "turbobt")
    script = ROOT / "tests" / "compat" / "scripts" / "turbobt_commitments.py"
    process = await asyncio.create_subprocess_exec(
        *(str(python), str(script), devnet.url, "2", OWN), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(printed)


async def test_revealed_commitments_are_read_as_they_were_timelocked(
    deployment: Deployment,
    identity: IdentityOf,
    devnet: Devnet,
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        made = await timelocked(sn2)
        job = await sn2.get_job(made.job_id)
        assert (job.state, job.has_ended) == (JobState.COMMITTED, False)
        assert job.reveal_round == made.reveal_round
        # The devnet accepts a text only if it is the timelocked one, prefixed by its length.
        devnet.reveal_commitment(2, OWN, TEXT)
        await devnet.advance(3)
        await wait_until(sn2, made.job_id, lambda job: job.state is JobState.REVEALED)

        async def is_read() -> bool:
            read = (await sn2.get_own_revealed_commitments()).commitments
            return [one.commitment for one in read] == [TEXT]

        await comes_true(is_read)


async def test_other_readers_read_the_timelocked_commitment(devnet: Devnet, tmp_path: Path) -> None:
    write_wallet(tmp_path / "wallets", "sn2", "default")
    signer = open_hotkey(tmp_path / "wallets", "sn2", "default")
    chain = SubtensorWriter(devnet.url)
    signed = await chain.sign(TimelockedCommitmentCall(NetUid(2), TEXT, BLOCKS), signer)
    await chain.submit(signed)
    await chain.close()
    await eventually(devnet.applied_counts)
    devnet.reveal_commitment(2, OWN, TEXT)
    await devnet.advance(3)
    assert await by_turbobt(devnet) == [TEXT]
    by_btcli = await btcli(devnet, tmp_path, "query", "commitments", "--netuid", "2")
    (own,) = [one for one in by_btcli if one["hotkey"] == OWN]
    assert (own["commitment"], own["is_revealed"]) == (TEXT, True)
    async with bittensor.Client(devnet.url) as client:
        by_sdk = (await client.subnets.commitments(2))[OWN]
    assert (by_sdk.value, by_sdk.is_revealed) == (TEXT, True)


async def test_a_failed_reveal_is_shown_by_the_job_and_the_reads(
    deployment: Deployment,
    identity: IdentityOf,
    devnet: Devnet,
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        made = await timelocked(sn2)
        devnet.drand_signature(made.reveal_round, ROUND_1000)
        await devnet.advance(3)
        await wait_until(sn2, made.job_id, lambda job: job.state is JobState.FAILED)

        async def is_shown() -> bool:
            commitment: Any = (await sn2.get_own_typed_commitment()).commitment
            return commitment.reveal_failed

        await comes_true(is_shown)


async def test_a_newer_commitment_supersedes_it(
    deployment: Deployment,
    identity: IdentityOf,
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        made = await timelocked(sn2)
        await sn2.set_commitment("ff")
        await wait_until(sn2, made.job_id, lambda job: job.state is JobState.SUPERSEDED)


class Stored:
    """Return the items of one hotkey, as the SDK decodes them."""

    def __init__(self, current: Any, revealed: list[int], last: int) -> None:
        self._items = {
            "CommitmentOf": current,
            "RevealedCommitments": [("text", block) for block in revealed],
            "LastCommitment": last,
        }

    async def query(self, _module: str, item: str, *_: object) -> Any:
        return self._items[item]


def commitment_record(block: int, field: str) -> dict[str, Any]:
    return {"block": block, "info": {"fields": [{field: {"reveal_round": 7}}]}}


@pytest.mark.parametrize(
    ("stored", "status"),
    [
        (Stored(commitment_record(100, "TimelockEncrypted"), [], 100), RevealStatus.PENDING),
        (Stored(commitment_record(100, "TimelockEncrypted"), [90], 100), RevealStatus.PENDING),
        (Stored(None, [120], 100), RevealStatus.REVEALED),
        (Stored(commitment_record(100, "TimelockRevealFailed"), [], 100), RevealStatus.FAILED),
        (Stored(None, [90], 100), RevealStatus.FAILED),
        (Stored(commitment_record(110, "TimelockEncrypted"), [], 110), RevealStatus.REPLACED),
        (Stored(commitment_record(110, "Raw2"), [], 110), RevealStatus.REPLACED),
        # The first was revealed before it was replaced, and the second later.
        (Stored(commitment_record(110, "TimelockEncrypted"), [105], 110), RevealStatus.REVEALED),
        (Stored(None, [120], 110), RevealStatus.REPLACED),
    ],
)
async def test_the_reveal_status_of_a_timelocked_commitment(
    stored: Any, status: RevealStatus
) -> None:
    assert (
        await read_reveal_status(stored, NetUid(2), Hotkey(OWN), BlockNumber(100), "0x") is status
    )


async def test_a_hotkey_without_commitments_has_no_reveal_status(devnet: Devnet) -> None:
    chain = SubtensorWriter(devnet.url)
    assert (
        await chain.reveal_status(NetUid(2), Hotkey(hotkey(2, 5)), BlockNumber(1))
        is RevealStatus.FAILED
    )
    await chain.close()
