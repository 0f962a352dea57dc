"""Weights on a chain whose schedule moves, and on another chain, through whole workers."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from pylon.devnet import Devnet, DevnetOptions
from pylon.devnet.population import hotkey
from pylon.jobs.windows import ACCEPTED_SLACK_BLOCKS
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import JobState
from pylon_client.contract.reads import WEIGHTS_STATUS
from pylon_client.contract.writes import PUT_WEIGHTS
from tests.support.eventually import comes_true, eventually
from tests.support.job_deployment import Asker, Deployment, make_wallets, weights_of

OWN = hotkey(2, 0)
TEMPO = 2000


@pytest.fixture
async def devnet() -> AsyncGenerator[Devnet]:
    """Blocks come when a test asks for them."""
    options = DevnetOptions(
        port=0, block_time_s=0.1, tempo_blocks=TEMPO, active=False, autostart=False
    )
    async with Devnet(options) as node:
        await node.advance(3)
        yield node


async def until_ended(devnet: Devnet, sn2: Asker, job_id: str) -> Any:
    """Make blocks until a job has ended."""

    async def has_ended() -> bool:
        await devnet.advance(1)
        return (await sn2.job(job_id)).has_ended

    await comes_true(has_ended)
    return await sn2.job(job_id)


async def reason(sn2: Asker, job_id: str, code: ErrorCode) -> None:
    """Wait until a job gives this reason."""

    async def is_given() -> bool:
        error = (await sn2.job(job_id)).last_error
        return error is not None and error.code is code

    await comes_true(is_given)


async def test_weights_are_included_in_the_first_block_that_takes_them(
    deployment: Deployment, asker: Any, devnet: Devnet
) -> None:
    devnet.set_hyperparameter(2, "WeightsSetRateLimit", 20)
    await devnet.advance(1)
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        first = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 3))
        set_in = (await until_ended(devnet, sn2, first["job_id"])).included_block
        second = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 4))
        await reason(sn2, second["job_id"], ErrorCode.RATE_LIMITED)
        await devnet.advance(set_in + 20 - 1 - devnet.best_number)
        await eventually(lambda: len(devnet.pool) == 1)
        await devnet.advance(1)
        assert (await until_ended(devnet, sn2, second["job_id"])).included_block == set_in + 20


async def test_the_same_weights_in_an_epoch_that_came_early_are_a_new_job(
    deployment: Deployment, asker: Any, devnet: Devnet
) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        first = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 4))
        await until_ended(devnet, sn2, first["job_id"])
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 40)
        await devnet.advance(1)
        weights = weights_of(devnet, 2, 3)
        parked = await sn2.ask(PUT_WEIGHTS, weights)
        await reason(sn2, parked["job_id"], ErrorCode.RATE_LIMITED)
        assert (await sn2.ask(PUT_WEIGHTS, weights))["job_id"] == parked["job_id"]
        await devnet.advance(ACCEPTED_SLACK_BLOCKS + 1)
        devnet.trigger_epoch(2)
        await devnet.advance(2)
        again = await sn2.ask(PUT_WEIGHTS, weights)
        assert again["job_id"] != parked["job_id"]
        assert (await sn2.ended(parked["job_id"])).state in {JobState.EXPIRED, JobState.SUPERSEDED}
        ended = await until_ended(devnet, sn2, again["job_id"])
        assert ended.state is JobState.CONFIRMED


async def test_a_parked_job_follows_the_tempo(
    deployment: Deployment, asker: Any, devnet: Devnet
) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        first = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 4))
        await until_ended(devnet, sn2, first["job_id"])
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1000)
        await devnet.advance(1)
        parked = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 3))
        await reason(sn2, parked["job_id"], ErrorCode.RATE_LIMITED)
        before = (await sn2.job(parked["job_id"])).deadline_block
        assert before is not None
        devnet.set_hyperparameter(2, "Tempo", 50)
        await devnet.advance(1)

        async def has_moved() -> bool:
            deadline = (await sn2.job(parked["job_id"])).deadline_block
            return deadline is not None and deadline < before

        await comes_true(has_moved)
        await devnet.advance(60)
        assert (await sn2.ended(parked["job_id"])).state is JobState.EXPIRED


async def test_a_hotkey_that_is_registered_after_its_weights_were_accepted_sets_them(
    deployment: Deployment, asker: Any, devnet: Devnet
) -> None:
    devnet.deregister_neuron(2, OWN)
    await devnet.advance(1)
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        answer = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 3))
        await reason(sn2, answer["job_id"], ErrorCode.NOT_REGISTERED)
        about = {"mechanism_id": 0, "block_number": devnet.best_number}
        status = await sn2.ask(WEIGHTS_STATUS, about)
        assert status == {"weights_submitted": True, "weights_on_chain": False}
        devnet.register_neuron(2, OWN, OWN)
        await devnet.advance(1)
        await reason(sn2, answer["job_id"], ErrorCode.NO_VALIDATOR_PERMIT)
        uids = devnet.chain.at(None).get("SubtensorModule", "SubnetworkN", 2)
        devnet.set_storage("SubtensorModule", "ValidatorPermit", [2], [True] * uids)
        devnet.set_storage("SubtensorModule", "StakeThreshold", [], 0)
        job = await until_ended(devnet, sn2, answer["job_id"])
        assert job.state is JobState.CONFIRMED


async def test_a_job_of_one_chain_is_not_signed_on_another(
    deployment: Deployment, asker: Any, devnet: Devnet, tmp_path: Path
) -> None:
    sn2: Asker = await asker("sn2")
    async with deployment.worker():
        first = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 4))
        await until_ended(devnet, sn2, first["job_id"])
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1000)
        await devnet.advance(1)
        parked = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 3))
        await reason(sn2, parked["job_id"], ErrorCode.RATE_LIMITED)
    options = DevnetOptions(port=0, block_time_s=0.1, seed=2, tempo_blocks=TEMPO, active=False)
    async with Devnet(options) as other:
        make_wallets(tmp_path / "other", other)
        assert other.chain.genesis_hash != devnet.chain.genesis_hash
        moved = Deployment(deployment.folder, deployment.server, other)
        async with moved.worker():
            job = await sn2.ended(parked["job_id"])
            assert job.state is JobState.REJECTED
            assert job.last_error is not None
            assert job.last_error.code is ErrorCode.WRONG_CHAIN
            again = await sn2.ask(PUT_WEIGHTS, weights_of(other, 2, 3))
            assert (await sn2.ended(again["job_id"])).state is JobState.CONFIRMED
        assert moved.applied() == 1
