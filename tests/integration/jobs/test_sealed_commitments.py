"""A sealed commitment from its request to what every reader sees once the chain has opened it."""

from typing import Any

import bittensor
import pytest
from bittensor._generated import storage as st

from pylon.chain.seals import read_seal
from pylon.chain.submission import Submission
from pylon.chain.writes import Seal
from pylon.devnet import Devnet
from pylon.devnet.population import hotkey
from pylon_client.contract.jobs import JobState
from pylon_client.contract.reads import OWN_REVEALED_COMMITMENTS, OWN_TYPED_COMMITMENT
from pylon_client.contract.types import BlockNumber, Hotkey, NetUid
from pylon_client.contract.writes import SET_COMMITMENT, SET_REVEALED_COMMITMENT
from tests.integration.devnet.test_btcli import btcli
from tests.support.eventually import comes_true
from tests.support.job_deployment import Asker, Deployment
from tests.support.timelock import ROUND_1000

TEXT = 'plain hello {"é": 1}'
OWN = hotkey(2, 0)


async def sealed(sn2: Asker) -> dict[str, Any]:
    request = {"commitment": TEXT, "blocks_until_reveal": 1000}
    return await sn2.ask(SET_REVEALED_COMMITMENT, request)


async def becomes(sn2: Asker, job_id: str, state: JobState) -> None:
    async def is_so() -> bool:
        return (await sn2.job(job_id)).state is state

    await comes_true(is_so)


async def test_what_the_chain_opens_is_read_by_everybody_as_it_was_sealed(
    deployment: Deployment,
    asker: Any,
    devnet: Devnet,
) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        made = await sealed(sn2)
        job = await sn2.job(made["job_id"])
        assert (job.state, job.has_ended) == (JobState.COMMITTED, False)
        assert job.reveal_round == made["reveal_round"]
        # The devnet takes a text only if it is what was sealed, with its length before it.
        devnet.reveal_commitment(2, OWN, TEXT)
        await devnet.advance(3)
        await becomes(sn2, made["job_id"], JobState.REVEALED)

        async def is_read() -> bool:
            read = (await sn2.ask(OWN_REVEALED_COMMITMENTS))["commitments"]
            return [one["commitment"] for one in read] == [TEXT]

        await comes_true(is_read)
    by_btcli = await btcli(devnet, deployment.folder, "query", "commitments", "--netuid", "2")
    (own,) = [one for one in by_btcli if one["hotkey"] == OWN]
    assert (own["commitment"], own["is_revealed"]) == (TEXT, True)
    async with bittensor.Client(devnet.url) as client:
        raw = await client.query(st.Commitments.RevealedCommitments, [2, OWN])
    assert TEXT in str(raw)


async def test_a_reveal_that_fails_is_reported_by_the_job_and_shown(
    deployment: Deployment,
    asker: Any,
    devnet: Devnet,
) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        made = await sealed(sn2)
        devnet.drand_signature(made["reveal_round"], ROUND_1000)
        await devnet.advance(3)
        await becomes(sn2, made["job_id"], JobState.FAILED)

        async def is_shown() -> bool:
            commitment = (await sn2.ask(OWN_TYPED_COMMITMENT))["commitment"]
            return bool(commitment["reveal_failed"])

        await comes_true(is_shown)


async def test_a_commitment_in_its_place_supersedes_it(
    deployment: Deployment,
    asker: Any,
) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        made = await sealed(sn2)
        await sn2.ask(SET_COMMITMENT, {"commitment": "ff"})
        await becomes(sn2, made["job_id"], JobState.SUPERSEDED)


class Stored:
    """The items of one hotkey, as the SDK decodes them."""

    def __init__(self, kept: Any, revealed: list[int], last: int) -> None:
        self._items = {
            "CommitmentOf": kept,
            "RevealedCommitments": [("text", block) for block in revealed],
            "LastCommitment": last,
        }

    async def query(self, _module: str, item: str, *_: object) -> Any:
        return self._items[item]


def kept(block: int, field: str) -> dict[str, Any]:
    return {"block": block, "info": {"fields": [{field: {"reveal_round": 7}}]}}


@pytest.mark.parametrize(
    ("stored", "seal"),
    [
        (Stored(kept(100, "TimelockEncrypted"), [], 100), Seal.CLOSED),
        (Stored(kept(100, "TimelockEncrypted"), [90], 100), Seal.CLOSED),
        (Stored(None, [120], 100), Seal.OPENED),
        (Stored(kept(100, "TimelockRevealFailed"), [], 100), Seal.BROKEN),
        (Stored(None, [90], 100), Seal.BROKEN),
        (Stored(kept(110, "TimelockEncrypted"), [], 110), Seal.REPLACED),
        (Stored(kept(110, "Raw2"), [], 110), Seal.REPLACED),
        # Opened before it was replaced, and the one in its place opened later.
        (Stored(kept(110, "TimelockEncrypted"), [105], 110), Seal.OPENED),
        (Stored(None, [120], 110), Seal.REPLACED),
    ],
)
async def test_what_became_of_a_seal(stored: Any, seal: Seal) -> None:
    assert await read_seal(stored, NetUid(2), Hotkey(OWN), BlockNumber(100), "0x") is seal


async def test_a_hotkey_without_commitments_has_no_seal(devnet: Devnet) -> None:
    chain = Submission(devnet.url)
    assert await chain.seal(NetUid(2), Hotkey(hotkey(2, 5)), BlockNumber(1)) is Seal.BROKEN
    await chain.close()
