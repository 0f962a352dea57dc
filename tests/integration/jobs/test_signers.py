"""Identities without a signer, through whole workers that are killed."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from pylon.jobs.epochs import ACCEPTED_SLACK_BLOCKS
from pylon.wallets.hotkeys import open_hotkey
from pylon_client._async.identity import AsyncIdentity
from pylon_client.v1 import (
    ErrorCode,
    Hotkey,
    JobState,
    PylonUnavailable,
    SetWeightsResponse,
    Weight,
)
from pylon_devnet import Devnet
from pylon_devnet.codec import public_keyfile
from pylon_devnet.population import dev_hotkey_seed
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.job_deployment import SUBNETS, Deployment, IdentityOf, ended, weights_of
from tests.support.product.secret_texts import secret_of
from tests.support.product.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = secret_of("metrics")
WATCHED = {"PYLON_HEALTH_PORT": "0", "PYLON_METRICS_TOKEN": TOKEN}
PASSWORD = "correct horse battery"


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=HANGS_AFTER_S) as client:
        yield client


def health_url(worker: WorkerProcess) -> str:
    found = re.search(r"Health and metrics on (http://\S+)", worker.log)
    assert found is not None
    return found[1]


def encrypt(path: Path) -> None:
    """Encrypt the same hotkey with a password."""
    from bittensor import keyfiles

    signer: Any = open_hotkey(path.parents[2], path.parents[1].name, path.name)
    path.unlink()
    keyfiles.Keyfile(path).set_keypair(signer, encrypt=True, password=PASSWORD)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def leave_public_half(path: Path) -> None:
    path.write_bytes(public_keyfile(dev_hotkey_seed(path.parents[1].name)))


@dataclass(frozen=True)
class Problem:
    """A defect of a hotkey, and its report.

    Attributes:
        spoil: makes the file such.
        name: in the metrics.
        text: which every surface shows.
    """

    spoil: Callable[[Path], None]
    name: str
    text: str


MISSING = Problem(Path.unlink, "unreadable", "make it readable")
TRUNCATED = Problem(truncate, "broken", "cannot be opened")
PUBLIC_ONLY = Problem(leave_public_half, "public_only", "only the public key")
ENCRYPTED = Problem(encrypt, "encrypted", "set PYLON_ID_SN12_HOTKEY_PASSWORD")


@pytest.mark.parametrize(
    "problems",
    [{"sn1": MISSING, "sn12": TRUNCATED}, {"sn1": PUBLIC_ONLY, "sn12": ENCRYPTED}],
    ids=["missing-and-truncated", "public-and-encrypted"],
)
async def test_identities_whose_hotkeys_cannot_sign_are_rejected_and_named(
    deployment: Deployment,
    identity: IdentityOf,
    http: httpx.AsyncClient,
    problems: dict[str, Problem],
) -> None:
    hotkeys = deployment.folder / "wallets"
    for name, problem in problems.items():
        problem.spoil(hotkeys / name / "hotkeys" / "default")
    encrypt(hotkeys / "sn2" / "hotkeys" / "default")
    async with deployment.worker(PYLON_ID_SN2_HOTKEY_PASSWORD=PASSWORD, **WATCHED) as worker:
        ready = await http.get(f"{health_url(worker)}/readyz")
        assert ready.status_code == 503
        metrics = await http.get(
            f"{health_url(worker)}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        for name, problem in problems.items():
            asking = await identity(name)
            for write in (
                asking.put_weights(weights_of(deployment.devnet, SUBNETS[name], 3)),
                asking.set_commitment("ff"),
                asking.set_revealed_commitment("later"),
                asking.generate_certificate(),
            ):
                with pytest.raises(PylonUnavailable, match=problem.text) as refused:
                    await write
                assert refused.value.code == ErrorCode.MISCONFIGURED
                assert refused.value.status_code == 503
                assert not refused.value.retryable
            assert (await asking.get_jobs()).jobs == []
            assert re.search(f"identity {name} cannot write: .*{problem.text}", ready.text)
            labels = f'identity="{name}",problem="{problem.name}"'
            assert f"pylon_identity_cannot_sign{{{labels}}} 1.0" in metrics.text
        # An identity with the right password writes, and reads its own jobs.
        sn2 = await identity("sn2")
        await sn2.set_commitment("0xff")

        async def is_read() -> bool:
            return (await sn2.get_own_commitment()).commitment == "0xff"

        await comes_true(is_read)
        assert PASSWORD not in worker.log


async def test_without_a_signer_writes_are_rejected_after_the_grace_period(
    deployment: Deployment,
    identity: IdentityOf,
    http: httpx.AsyncClient,
) -> None:
    sn2 = await identity("sn2")
    weights = weights_of(deployment.devnet, 2, 3)
    async with deployment.worker(
        PYLON_WORKER_ROLE="reader", PYLON_SIGNER_GRACE_SECONDS="0", **WATCHED
    ) as reader:
        ready = f"{health_url(reader)}/readyz"

        async def is_ready() -> bool:
            return (await http.get(ready)).status_code == 200

        await comes_true(is_ready)  # to read
        assert "identity sn2 cannot write: no signer" in (await http.get(ready)).text
        with pytest.raises(PylonUnavailable, match="PYLON_WORKER_ROLE=signer") as refused:
            await sn2.put_weights(weights)
        assert refused.value.code == ErrorCode.MISCONFIGURED
        async with deployment.worker(PYLON_WORKER_ROLE="signer"):

            async def is_accepted() -> bool:
                try:
                    await sn2.put_weights(weights)
                except PylonUnavailable as error:
                    assert error.code == ErrorCode.MISCONFIGURED  # noqa: PT017 -- not to be raised
                    return False
                return True

            await comes_true(is_accepted)

            async def is_fit() -> bool:
                return (await http.get(ready)).text == "ok\n"

            await comes_true(is_fit)


async def put_with_warning(
    identity: AsyncIdentity, weights: dict[Hotkey, Weight]
) -> SetWeightsResponse:
    """Put the same weights until the response warns: a killed signer counts as running at first."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while (answer := await identity.put_weights(weights)).warning is None:
            await asyncio.sleep(0.5)
    return answer


async def test_writes_accepted_while_their_signer_restarts_warn_and_can_be_cancelled(
    deployment: Deployment,
    identity: IdentityOf,
    devnet: Devnet,
) -> None:
    """Another signer with other hotkeys accepts writes until the grace period is over."""
    sn2, sn1 = await identity("sn2"), await identity("sn1")
    without = {"PYLON_BITTENSOR_WALLET_PATH": str(deployment.folder / "no-wallets")}
    async with deployment.worker(PYLON_WORKER_ROLE="signer", **without):
        async with deployment.worker(PYLON_WORKER_ROLE="signer") as signer:

            async def is_known() -> bool:
                try:
                    await sn2.set_commitment("ff")
                except PylonUnavailable as error:
                    assert error.code == ErrorCode.MISCONFIGURED  # noqa: PT017 -- not to be raised
                    return False
                return True

            await comes_true(is_known)  # to both
            await signer.kill()
        applied = deployment.applied()
        answer = await put_with_warning(sn2, weights_of(devnet, 2, 3))
        assert answer.detail == "weights update scheduled"
        assert "cannot be read" in (answer.warning or "")
        unwanted = await sn1.put_weights(weights_of(devnet, 1, 3))
        cancelled = await sn1.cancel_job(unwanted.job_id)
        assert cancelled.state is JobState.CANCELLED
        assert cancelled.last_error is not None
        assert cancelled.last_error.code is ErrorCode.CANCELLED
        # A triggered epoch counts as the one in which they were accepted.
        await devnet.advance(ACCEPTED_SLACK_BLOCKS + 1)
        devnet.trigger_epoch(2)
        await devnet.advance(10)
        job = await ended(sn2, answer.job_id)
        assert job.state is JobState.EXPIRED
        assert job.last_error is not None
        assert "cannot be read" in job.last_error.detail
    assert deployment.applied() == applied
