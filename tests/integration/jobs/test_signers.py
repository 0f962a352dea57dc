"""Identities that nothing can sign for, through whole workers that are really killed."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pylon.chain.hotkeys import open_hotkey
from pylon.devnet import Devnet
from pylon.devnet.codec import public_keyfile
from pylon.devnet.population import dev_hotkey_seed
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import JobState
from pylon_client.contract.reads import OWN_COMMITMENT
from pylon_client.contract.writes import PUT_WEIGHTS, SET_COMMITMENT
from tests.support.eventually import comes_true
from tests.support.job_deployment import Asker, Deployment, weights_of
from tests.support.secret_texts import secret_of
from tests.support.worker_process import WorkerProcess

TOKEN = secret_of("metrics")
WATCHED = {"PYLON_HEALTH_PORT": "0", "PYLON_METRICS_TOKEN": TOKEN}
PASSWORD = "correct horse battery"
SN12 = Path("wallets") / "sn12" / "hotkeys" / "default"


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


def health_url(worker: WorkerProcess) -> str:
    found = re.search(r"Health and metrics on (http://\S+)", worker.log)
    assert found is not None
    return found[1]


def encrypt(path: Path) -> None:
    """Put the same hotkey there under a password."""
    from bittensor import keyfiles

    signer: Any = open_hotkey(path.parents[2], path.parents[1].name, path.name)
    path.unlink()
    keyfiles.Keyfile(path).set_keypair(signer, encrypt=True, password=PASSWORD)


@pytest.mark.parametrize(
    ("spoil", "problem", "text"),
    [
        (lambda path: path.unlink(), "unreadable", "make it readable"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "broken", "cannot be opened"),
        (
            lambda path: path.write_bytes(public_keyfile(dev_hotkey_seed("sn12"))),
            "public_only",
            "public half",
        ),
        (encrypt, "encrypted", "set PYLON_ID_SN12_HOTKEY_PASSWORD"),
    ],
    ids=["missing", "truncated", "public", "encrypted"],
)
async def test_an_identity_whose_hotkey_cannot_sign_is_refused_and_named(
    deployment: Deployment,
    asker: Any,
    http: httpx.AsyncClient,
    spoil: Any,
    problem: str,
    text: str,
) -> None:
    spoil(deployment.folder / SN12)
    async with deployment.worker(**WATCHED) as worker:
        sn12: Asker = await asker("sn12")
        for operation, params in (
            (PUT_WEIGHTS, weights_of(deployment.devnet, 12, 3)),
            (SET_COMMITMENT, {"commitment": "ff"}),
        ):
            with pytest.raises(FailureError, match=text) as refused:
                await sn12.ask(operation, params)
            assert refused.value.code is ErrorCode.MISCONFIGURED
        ready = await http.get(f"{health_url(worker)}/readyz")
        assert ready.status_code == 503
        assert re.search(f"identity sn12 cannot write: .*{text}", ready.text)
        metrics = await http.get(
            f"{health_url(worker)}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        line = f'pylon_identity_cannot_sign{{identity="sn12",problem="{problem}"}} 1.0'
        assert line in metrics.text
        sn2: Asker = await asker("sn2")
        await sn2.ask(SET_COMMITMENT, {"commitment": "ff"})


async def test_an_encrypted_hotkey_with_its_password_writes_and_reads(
    deployment: Deployment,
    asker: Any,
    http: httpx.AsyncClient,
) -> None:
    encrypt(deployment.folder / SN12)
    async with deployment.worker(PYLON_ID_SN12_HOTKEY_PASSWORD=PASSWORD, **WATCHED) as worker:
        sn12: Asker = await asker("sn12")
        await sn12.ask(SET_COMMITMENT, {"commitment": "0xff"})

        async def is_read() -> bool:
            return (await sn12.ask(OWN_COMMITMENT))["commitment"] == "0xff"

        await comes_true(is_read)
        assert PASSWORD not in worker.log


async def test_without_any_signer_writes_are_refused_once_the_grace_period_is_over(
    deployment: Deployment,
    asker: Any,
) -> None:
    sn2: Asker = await asker("sn2")
    weights = weights_of(deployment.devnet, 2, 3)
    async with deployment.worker(PYLON_WORKER_ROLE="reader", PYLON_SIGNER_GRACE_SECONDS="0"):
        with pytest.raises(FailureError, match="PYLON_WORKER_ROLE=signer") as refused:
            await sn2.ask(PUT_WEIGHTS, weights)
        assert refused.value.code is ErrorCode.MISCONFIGURED
        async with deployment.worker(PYLON_WORKER_ROLE="signer"):

            async def is_accepted() -> bool:
                try:
                    await sn2.ask(PUT_WEIGHTS, weights)
                except FailureError as error:
                    assert error.code is ErrorCode.MISCONFIGURED  # noqa: PT017 -- not to be raised
                    return False
                return True

            await comes_true(is_accepted)


async def test_what_is_accepted_while_signers_restart_says_so_and_ends_by_its_deadline(
    deployment: Deployment,
    asker: Any,
    devnet: Devnet,
) -> None:
    sn2: Asker = await asker("sn2")
    async with deployment.worker(PYLON_WORKER_ROLE="reader"):
        answer = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 3))
        assert answer["detail"] == "weights update scheduled"
        assert "no signer" in answer["warning"]
        devnet.trigger_epoch(2)
        await devnet.advance(10)
        job = await sn2.ended(answer["job_id"])
        assert job.state is JobState.EXPIRED
        assert job.last_error is not None
        assert "no signer" in job.last_error.detail
    assert deployment.applied() == 0
