"""Weights on a chain whose epochs move, and on another chain, through whole workers."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from pylon.jobs.acceptance_context import CHAIN_TIMEOUT_S
from pylon.jobs.epochs import ACCEPTED_SLACK_BLOCKS
from pylon_client._async.identity import AsyncIdentity
from pylon_client.contract.types import JobKind
from pylon_client.v1 import (
    BlockNumber,
    ErrorCode,
    Job,
    JobId,
    JobState,
    PylonBadGateway,
)
from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import hotkey
from tests.support.product.eventually import eventually
from tests.support.product.job_deployment import (
    Deployment,
    IdentityOf,
    ended,
    has_error,
    put_without_key,
    wait_until,
    weights_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = hotkey(2, 0)
TEMPO = 2000
BLOCK_TIME_S = 0.1


@pytest_asyncio.fixture(loop_scope="module")
async def devnet() -> AsyncGenerator[Devnet]:
    """Run a devnet that makes blocks only on request."""
    options = DevnetOptions(
        port=0, block_time_s=BLOCK_TIME_S, tempo_blocks=TEMPO, active=False, autostart=False
    )
    async with Devnet(options) as node:
        await node.advance(3)
        yield node


async def until_ended(devnet: Devnet, sn2: AsyncIdentity, job_id: JobId) -> Job:
    """Make blocks until a job has ended."""
    making = asyncio.create_task(keep_making_blocks(devnet))
    try:
        return await ended(sn2, job_id)
    finally:
        making.cancel()
        await asyncio.wait({making})


async def keep_making_blocks(devnet: Devnet) -> None:
    while True:
        await devnet.advance(1)
        await asyncio.sleep(BLOCK_TIME_S)


async def test_weights_are_included_in_the_first_allowed_block(
    deployment: Deployment, identity: IdentityOf, devnet: Devnet
) -> None:
    devnet.set_hyperparameter(2, "WeightsSetRateLimit", 20)
    await devnet.advance(1)
    async with deployment.worker():
        sn2 = await identity("sn2")
        first = await sn2.put_weights(weights_of(devnet, 2, 3))
        set_in = (await until_ended(devnet, sn2, first.job_id)).included_block
        second = await sn2.put_weights(weights_of(devnet, 2, 4))
        await wait_until(sn2, second.job_id, has_error(ErrorCode.RATE_LIMITED))
        await devnet.advance(set_in + 20 - 1 - devnet.best_number)
        await eventually(lambda: len(devnet.pool) == 1)
        await devnet.advance(1)
        assert (await until_ended(devnet, sn2, second.job_id)).included_block == set_in + 20


async def test_the_same_weights_in_a_triggered_epoch_are_a_new_job(
    deployment: Deployment, identity: IdentityOf, devnet: Devnet
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        first = await sn2.put_weights(weights_of(devnet, 2, 4))
        await until_ended(devnet, sn2, first.job_id)
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 40)
        await devnet.advance(1)
        weights = weights_of(devnet, 2, 3)
        deferred = await put_without_key(sn2, weights)
        await wait_until(sn2, deferred.job_id, has_error(ErrorCode.RATE_LIMITED))
        assert (await put_without_key(sn2, weights)).job_id == deferred.job_id
        await devnet.advance(ACCEPTED_SLACK_BLOCKS + 1)
        devnet.trigger_epoch(2)
        await devnet.advance(2)
        again = await put_without_key(sn2, weights)
        assert again.job_id != deferred.job_id
        assert (await ended(sn2, deferred.job_id)).state in {JobState.EXPIRED, JobState.SUPERSEDED}
        assert (await until_ended(devnet, sn2, again.job_id)).state is JobState.CONFIRMED


async def test_a_deferred_job_follows_the_tempo(
    deployment: Deployment, identity: IdentityOf, devnet: Devnet
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        first = await sn2.put_weights(weights_of(devnet, 2, 4))
        await until_ended(devnet, sn2, first.job_id)
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1000)
        await devnet.advance(1)
        deferred = await sn2.put_weights(weights_of(devnet, 2, 3))
        await wait_until(sn2, deferred.job_id, has_error(ErrorCode.RATE_LIMITED))
        before = (await sn2.get_job(deferred.job_id)).deadline_block
        assert before is not None
        devnet.set_hyperparameter(2, "Tempo", 50)
        await devnet.advance(1)

        await wait_until(sn2, deferred.job_id, lambda job: job.deadline_block < before)
        await devnet.advance(60)
        assert (await ended(sn2, deferred.job_id)).state is JobState.EXPIRED


async def test_weights_accepted_before_registration_are_set_after_it(
    deployment: Deployment, identity: IdentityOf, devnet: Devnet
) -> None:
    devnet.deregister_neuron(2, OWN)
    await devnet.advance(1)
    async with deployment.worker():
        sn2 = await identity("sn2")
        answer = await sn2.put_weights(weights_of(devnet, 2, 3))
        await wait_until(sn2, answer.job_id, has_error(ErrorCode.NOT_REGISTERED))
        # The response with a key pair precedes its job, so the request is rejected at once.
        with pytest.raises(PylonBadGateway, match="not registered on subnet 2") as refused:
            await sn2.generate_certificate()
        assert refused.value.code == ErrorCode.NOT_REGISTERED
        status = await sn2.get_weights_status(BlockNumber(devnet.best_number))
        assert (status.weights_submitted, status.weights_on_chain) == (True, False)
        devnet.register_neuron(2, OWN, OWN)
        await devnet.advance(1)
        await wait_until(sn2, answer.job_id, has_error(ErrorCode.NO_VALIDATOR_PERMIT))
        uids = devnet.chain.state_at_hash(None).get("SubtensorModule", "SubnetworkN", 2)
        devnet.set_storage("SubtensorModule", "ValidatorPermit", [2], [True] * uids)
        devnet.set_storage("SubtensorModule", "StakeThreshold", [], 0)
        job = await until_ended(devnet, sn2, answer.job_id)
        assert job.state is JobState.CONFIRMED


async def test_a_key_pair_of_a_caller_that_left_is_not_published(
    deployment: Deployment, identity: IdentityOf, devnet: Devnet
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        devnet.set_hyperparameter(2, "ServingRateLimit", 0)
        await devnet.advance(1)
        pair = await sn2.generate_certificate()
        assert pair.job_id is not None
        assert (await until_ended(devnet, sn2, pair.job_id)).state is JobState.CONFIRMED
        devnet.go_silent()
        abandoned = asyncio.create_task(sn2.generate_certificate())
        await asyncio.sleep(1.0)  # now it waits for the chain
        abandoned.cancel()
        await asyncio.wait({abandoned})
        # A worker that continued would proceed without the chain by then, and store a job.
        await asyncio.sleep(2 * CHAIN_TIMEOUT_S + 1)
        devnet.speak()
        weights = await sn2.put_weights(weights_of(devnet, 2, 3))
        assert (await until_ended(devnet, sn2, weights.job_id)).state is JobState.CONFIRMED
        jobs = (await sn2.get_jobs()).jobs
        entered = [job.job_id for job in jobs if job.kind is JobKind.CERTIFICATE]
        assert entered == [pair.job_id]
        assert (await sn2.get_own_certificate()).public_key == pair.public_key
