"""Jobs through whole workers, which are killed."""

import asyncio

import pytest

from pylon_client.v1 import (
    ErrorCode,
    JobState,
    MechanismId,
    PylonNotFound,
    PylonResponseException,
    PylonTimeoutException,
)
from tests.support.product.eventually import comes_true
from tests.support.product.job_deployment import (
    Deployment,
    IdentityOf,
    ended,
    is_deferred,
    wait_until,
    weights_of,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # Other tests cover replication and REST on three servers.
    pytest.mark.parametrize("nats_servers", [1], indirect=True, ids=["one-server"], scope="module"),
]


async def test_weights_and_commitments_are_set(
    deployment: Deployment, identity: IdentityOf
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        answer = await sn2.put_weights(weights_of(deployment.devnet, 2, 3, 5))
        assert (answer.detail, answer.count) == ("weights update scheduled", 2)
        sn12 = await identity("sn12")
        timelocked = await sn12.put_weights(weights_of(deployment.devnet, 12, 3))
        commitment = await sn2.set_commitment("0xff00")
        assert commitment.detail == "Commitment set successfully."
        later = await sn12.set_revealed_commitment("later", blocks_until_reveal=50)
        assert later.reveal_round > 0
        job = await ended(sn2, answer.job_id)
        assert job.state is JobState.CONFIRMED
        committed = await ended(sn12, timelocked.job_id)
        assert committed.state is JobState.COMMITTED
        assert committed.reveal_round
        assert committed.window_open_block
        assert committed.window_close_block
        assert committed.submitted_block
        assert committed.included_block
        assert len((await sn2.get_jobs()).jobs) == 2
        with pytest.raises(PylonNotFound):
            await sn2.get_job(timelocked.job_id)
    assert deployment.applied() == 4


async def test_unknown_hotkeys_are_left_out_and_reported(
    deployment: Deployment, identity: IdentityOf
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        weights = weights_of(deployment.devnet, 2, 3)
        stranger = weights_of(deployment.devnet, 1, 200)
        job = await ended(sn2, (await sn2.put_weights(weights | stranger)).job_id)
        assert job.state is JobState.CONFIRMED
        assert [left.hotkey for left in job.left_out] == list(stranger)


async def test_twenty_puts_with_one_key_are_one_job(
    deployment: Deployment, identity: IdentityOf
) -> None:
    async with deployment.worker(), deployment.worker():
        sn2 = await identity("sn2")
        weights = weights_of(deployment.devnet, 2, 3)
        answers = await asyncio.gather(
            *(sn2.put_weights(weights, idempotency_key="key") for _ in range(20))
        )
        (job_id,) = {answer.job_id for answer in answers}
        await ended(sn2, job_id)
        assert (await sn2.put_weights(weights, idempotency_key="key")).job_id == job_id
        other = weights_of(deployment.devnet, 2, 4)
        with pytest.raises(PylonResponseException) as refused:
            await sn2.put_weights(other, idempotency_key="key")
        assert refused.value.code == ErrorCode.CONFLICT
    assert deployment.applied() == 1


async def test_a_deferred_job_can_be_superseded_or_cancelled(
    deployment: Deployment, identity: IdentityOf
) -> None:
    devnet = deployment.devnet
    async with deployment.worker():
        sn2 = await identity("sn2")
        first = await sn2.put_weights(weights_of(devnet, 2, 3))
        await ended(sn2, first.job_id)
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1500)
        await devnet.advance(2)
        deferred = await sn2.put_weights(weights_of(devnet, 2, 4))
        await wait_until(sn2, deferred.job_id, is_deferred)
        newer = await sn2.put_weights(weights_of(devnet, 2, 5))
        old = await sn2.get_job(deferred.job_id)
        assert old.state is JobState.SUPERSEDED
        assert old.superseded_by == newer.job_id
        assert old.last_error is not None
        assert old.last_error.code is ErrorCode.RATE_LIMITED
        cancelled = await sn2.cancel_job(newer.job_id)
        assert cancelled.last_error is not None
        assert cancelled.last_error.code is ErrorCode.CANCELLED
        assert cancelled.state is JobState.CANCELLED
    assert deployment.applied() == 1


async def test_a_deferred_job_does_not_block_other_mechanisms(
    deployment: Deployment, identity: IdentityOf
) -> None:
    devnet = deployment.devnet
    devnet.set_storage("SubtensorModule", "MechanismCountCurrent", [2], 2)
    async with deployment.worker():
        sn2 = await identity("sn2")
        first = await sn2.put_weights(weights_of(devnet, 2, 3))
        await ended(sn2, first.job_id)
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1500)
        await devnet.advance(2)
        deferred = await sn2.put_weights(weights_of(devnet, 2, 4))
        await wait_until(sn2, deferred.job_id, is_deferred)
        other = await sn2.put_weights(weights_of(devnet, 2, 5), MechanismId(1))
        assert (await ended(sn2, other.job_id)).state is JobState.CONFIRMED
        assert is_deferred(await sn2.get_job(deferred.job_id))
    assert deployment.applied() == 2


async def test_a_worker_killed_in_flight_loses_and_repeats_no_write(
    deployment: Deployment, identity: IdentityOf
) -> None:
    sn2 = await identity("sn2")
    deployment.devnet.pause()
    async with deployment.worker() as doomed:
        answer = await sn2.put_weights(weights_of(deployment.devnet, 2, 3))

        async def in_flight() -> bool:
            is_recorded = (await sn2.get_job(answer.job_id)).state is JobState.SUBMITTING
            return is_recorded and len(deployment.devnet.pool) == 1

        await comes_true(in_flight)
        await doomed.kill()
    deployment.devnet.resume()
    async with deployment.worker():
        job = await ended(sn2, answer.job_id)
        assert job.state is JobState.CONFIRMED
        assert job.attempts == 1
    assert deployment.applied() == 1


async def test_a_worker_above_its_memory_limit_stops_and_loses_no_job(
    deployment: Deployment, identity: IdentityOf
) -> None:
    sn2 = await identity("sn2")
    deployment.devnet.pause()  # so that the job is in progress when the worker stops
    async with deployment.worker(PYLON_WORKER_MEMORY_LIMIT_MIB="1") as large:
        answer = await sn2.put_weights(weights_of(deployment.devnet, 2, 3))
        assert await large.ends() == 0
        assert "exceed the limit of 1 MiB (PYLON_WORKER_MEMORY_LIMIT_MIB)" in large.log
    deployment.devnet.resume()
    async with deployment.worker():
        assert (await ended(sn2, answer.job_id)).state is JobState.CONFIRMED
    assert deployment.applied() == 1


async def test_a_dropped_submission_is_repeated_after_its_era(
    deployment: Deployment, identity: IdentityOf
) -> None:
    deployment.devnet.swallow_extrinsics(times=1)
    async with deployment.worker():
        sn2 = await identity("sn2")
        answer = await sn2.put_weights(weights_of(deployment.devnet, 2, 3))
        job = await ended(sn2, answer.job_id)
        assert job.state is JobState.CONFIRMED
        assert job.attempts == 2
    assert deployment.applied() == 1


async def test_one_missing_wallet_stops_only_its_identity(
    deployment: Deployment, identity: IdentityOf
) -> None:
    missing = deployment.folder / "wallets" / "sn12" / "hotkeys" / "default"
    missing.unlink()
    async with deployment.worker() as worker:
        assert f"the hotkey {missing} cannot be read" in worker.log
        sn2 = await identity("sn2")
        await sn2.set_commitment("ff")


async def test_a_write_waits_for_a_signer_that_restarts(
    deployment: Deployment, identity: IdentityOf
) -> None:
    sn2 = await identity("sn2")
    async with deployment.worker(PYLON_WORKER_ROLE="reader"):
        async with deployment.worker(PYLON_WORKER_ROLE="signer"):
            await sn2.set_commitment("fe")
        async with deployment.identity("sn2", timeout_s=1.0) as hasty:
            with pytest.raises(PylonTimeoutException):
                await hasty.set_commitment("ff", idempotency_key="hasty")
        putting = asyncio.create_task(sn2.put_weights(weights_of(deployment.devnet, 2, 3)))
        async with deployment.worker(PYLON_WORKER_ROLE="signer"):
            answer = await putting
            await sn2.set_commitment("ff", idempotency_key="hasty")
            assert (await ended(sn2, answer.job_id)).state is JobState.CONFIRMED
    assert deployment.applied() == 3
