"""Jobs through whole workers: asked over NATS, worked on by processes that are really killed."""

import asyncio
from typing import Any

import pytest

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobId
from pylon_client.contract.writes import (
    CANCEL_JOB,
    GET_JOB,
    LIST_JOBS,
    PUT_MECHANISM_WEIGHTS,
    PUT_WEIGHTS,
    SET_COMMITMENT,
    SET_REVEALED_COMMITMENT,
)
from tests.support.eventually import comes_true
from tests.support.job_deployment import Asker, Deployment, weights_of


async def test_weights_and_commitments_are_set(deployment: Deployment, asker: Any) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        answer = await sn2.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 2, 3, 5))
        assert (answer["detail"], answer["count"]) == ("weights update scheduled", 2)
        sn12: Asker = await asker("sn12")
        sealed = await sn12.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 12, 3))
        said = await sn2.ask(SET_COMMITMENT, {"commitment": "0xff00"})
        assert said["detail"] == "Commitment set successfully."
        later = await sn12.ask(
            SET_REVEALED_COMMITMENT, {"commitment": "later", "blocks_until_reveal": 50}
        )
        assert later["reveal_round"] > 0
        job = await sn2.ended(answer["job_id"])
        assert job.state is JobState.CONFIRMED
        committed = await sn12.ended(sealed["job_id"])
        assert committed.state is JobState.COMMITTED
        assert committed.reveal_round
        assert committed.window_open_block
        assert committed.window_close_block
        assert committed.submitted_block
        assert committed.included_block
        assert len((await sn2.ask(LIST_JOBS))["jobs"]) == 2
        with pytest.raises(FailureError) as refused:
            await sn2.ask(GET_JOB, {"job_id": sealed["job_id"]})
        assert refused.value.code is ErrorCode.NOT_FOUND
    assert deployment.applied() == 4


async def test_w12_unknown_hotkeys_are_left_out_and_reported(
    deployment: Deployment, asker: Any
) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        weights = weights_of(deployment.devnet, 2, 3)
        stranger = weights_of(deployment.devnet, 1, 200)["weights"]
        weights["weights"] |= stranger
        job = await sn2.ended((await sn2.ask(PUT_WEIGHTS, weights))["job_id"])
        assert job.state is JobState.CONFIRMED
        assert [left.hotkey for left in job.left_out] == list(stranger)


async def test_w8_twenty_puts_of_one_key_are_one_job(deployment: Deployment, asker: Any) -> None:
    async with deployment.worker(), deployment.worker():
        sn2: Asker = await asker("sn2")
        weights = weights_of(deployment.devnet, 2, 3)
        answers = await asyncio.gather(*(sn2.ask(PUT_WEIGHTS, weights, "key") for _ in range(20)))
        (job_id,) = {answer["job_id"] for answer in answers}
        await sn2.ended(job_id)
        assert (await sn2.ask(PUT_WEIGHTS, weights, "key"))["job_id"] == job_id
        with pytest.raises(FailureError) as refused:
            await sn2.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 2, 4), "key")
        assert refused.value.code is ErrorCode.CONFLICT
    assert deployment.applied() == 1


async def test_w4_w7_a_parked_job_gives_way_to_a_newer_one_and_can_be_cancelled(
    deployment: Deployment, asker: Any
) -> None:
    devnet = deployment.devnet
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        first = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 3))
        await sn2.ended(first["job_id"])
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1500)
        await devnet.advance(2)
        parked = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 4))

        async def is_parked() -> bool:
            return (await sn2.job(parked["job_id"])).retry_at_block is not None

        await comes_true(is_parked)
        newer = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 5))
        old = await sn2.job(parked["job_id"])
        assert old.state is JobState.SUPERSEDED
        assert old.superseded_by == newer["job_id"]
        assert old.last_error is not None
        assert old.last_error.code is ErrorCode.RATE_LIMITED
        cancelled = Job.model_validate(
            await sn2.ask(CANCEL_JOB, {"job_id": JobId(newer["job_id"])})
        )
        assert cancelled.state is JobState.CANCELLED
    assert deployment.applied() == 1


async def test_a_job_that_is_parked_holds_up_no_other_mechanism(
    deployment: Deployment, asker: Any
) -> None:
    devnet = deployment.devnet
    devnet.set_storage("SubtensorModule", "MechanismCountCurrent", [2], 2)
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        first = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 3))
        await sn2.ended(first["job_id"])
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", 1500)
        await devnet.advance(2)
        parked = await sn2.ask(PUT_WEIGHTS, weights_of(devnet, 2, 4))

        async def is_parked() -> bool:
            return (await sn2.job(parked["job_id"])).retry_at_block is not None

        await comes_true(is_parked)
        other = await sn2.ask(PUT_MECHANISM_WEIGHTS, weights_of(devnet, 2, 5) | {"mechanism_id": 1})
        assert (await sn2.ended(other["job_id"])).state is JobState.CONFIRMED
        assert await is_parked()
    assert deployment.applied() == 2


async def test_w6_a_worker_that_is_killed_in_flight_leaves_nothing_undone_or_doubled(
    deployment: Deployment, asker: Any
) -> None:
    sn2: Asker = await asker("sn2")
    deployment.devnet.pause()
    async with deployment.worker() as doomed:
        answer = await sn2.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 2, 3))

        async def in_flight() -> bool:
            is_recorded = (await sn2.job(answer["job_id"])).state is JobState.SUBMITTING
            return is_recorded and len(deployment.devnet.pool) == 1

        await comes_true(in_flight)
        await doomed.kill()
    deployment.devnet.resume()
    async with deployment.worker():
        job = await sn2.ended(answer["job_id"])
        assert job.state is JobState.CONFIRMED
        assert job.attempts == 1
    assert deployment.applied() == 1


async def test_c3_a_worker_that_has_grown_too_large_stops_and_leaves_nothing_undone(
    deployment: Deployment, asker: Any
) -> None:
    sn2: Asker = await asker("sn2")
    deployment.devnet.pause()  # so that the job is in hand when the worker stops
    async with deployment.worker(PYLON_WORKER_MEMORY_LIMIT_MIB="1") as large:
        answer = await sn2.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 2, 3))
        assert await large.ends() == 0
        assert "more than the 1 of PYLON_WORKER_MEMORY_LIMIT_MIB" in large.log
    deployment.devnet.resume()
    async with deployment.worker():
        assert (await sn2.ended(answer["job_id"])).state is JobState.CONFIRMED
    assert deployment.applied() == 1


async def test_w2_a_submission_that_was_swallowed_is_made_again_once_its_era_is_over(
    deployment: Deployment, asker: Any
) -> None:
    deployment.devnet.swallow_extrinsics(times=1)
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        answer = await sn2.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 2, 3))
        job = await sn2.ended(answer["job_id"])
        assert job.state is JobState.CONFIRMED
        assert job.attempts == 2
    assert deployment.applied() == 1


async def test_one_missing_wallet_stops_only_its_identity(
    deployment: Deployment, asker: Any
) -> None:
    missing = deployment.folder / "wallets" / "sn12" / "hotkeys" / "default"
    missing.unlink()
    async with deployment.worker() as worker:
        assert f"the hotkey {missing} cannot be read" in worker.log
        sn2: Asker = await asker("sn2")
        await sn2.ask(SET_COMMITMENT, {"commitment": "ff"})


async def test_a_reader_accepts_and_a_signer_works(deployment: Deployment, asker: Any) -> None:
    sn2: Asker = await asker("sn2")
    async with deployment.worker(PYLON_WORKER_ROLE="reader"):
        answer = await sn2.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 2, 3))
        with pytest.raises(FailureError) as late:
            await sn2.ask(SET_COMMITMENT, {"commitment": "ff"}, timeout_s=1.0)
        assert late.value.code is ErrorCode.DEADLINE_EXCEEDED
        assert (await sn2.job(answer["job_id"])).state is JobState.ACCEPTED
        async with deployment.worker(PYLON_WORKER_ROLE="signer"):
            await sn2.ask(SET_COMMITMENT, {"commitment": "ff"})
            assert (await sn2.ended(answer["job_id"])).state is JobState.CONFIRMED
    assert deployment.applied() == 2
