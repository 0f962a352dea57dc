"""The responses to requests about jobs."""

from collections.abc import Callable, Container
from typing import Any

import pytest

from pylon.jobs.job_handlers import JobHandlers
from pylon.jobs.job_waiter import JobWaiter
from pylon.jobs.signer_directory import SignerDirectory
from pylon.rpc.calls import ServiceCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobList, JobState
from pylon_client.contract.operation import Params
from pylon_client.contract.operations import Scope
from pylon_client.contract.types import Hotkey, JobId, NetUid
from pylon_client.contract.writes import (
    GenerateCertificate,
    JobParams,
    ListJobs,
    PutWeights,
    SetCommitment,
    WeightsScheduled,
)
from tests.support.product.adversary import World
from tests.support.product.fake_signers import signers_of
from tests.support.product.simulated_jobs import ALICE, KNOWN, SimulatedJobs


def call(params: Params, timeout_s: float = 0.0) -> ServiceCall[Any]:
    return ServiceCall(
        operation="",
        scope=Scope.IDENTITY,
        netuid=NetUid(1),
        identity=ALICE,
        params=params,
        timeout_s=timeout_s,
        request_id="",
    )


def handlers_of(system: SimulatedJobs, signers: SignerDirectory | None = None) -> JobHandlers:
    async def subscribe(_ids: Container[str], _observe: Callable[[Job], None]) -> None:
        return

    return JobHandlers(
        system.acceptor,
        system.store,
        signers or signers_of(ALICE),
        system.world.process(),
        JobWaiter(system.store, subscribe),
    )


async def put_weights(handlers: JobHandlers) -> WeightsScheduled:
    result = await handlers.put_weights(call(PutWeights(weights={Hotkey(KNOWN): 1.0})))
    return WeightsScheduled.model_validate_json(result.body)


async def test_accepted_weights_can_be_read_listed_and_cancelled() -> None:
    handlers = handlers_of(SimulatedJobs(World()))
    reply = await put_weights(handlers)
    assert (reply.count, reply.warning) == (1, None)
    job_id = JobId(reply.job_id or "")
    found = await handlers.get_job(call(JobParams(job_id=job_id)))
    assert Job.model_validate_json(found.body).state is JobState.ACCEPTED
    cancelled = await handlers.cancel_job(call(JobParams(job_id=job_id)))
    assert Job.model_validate_json(cancelled.body).state is JobState.CANCELLED
    page = JobList.model_validate_json((await handlers.list_jobs(call(ListJobs()))).body)
    assert [(job.job_id, job.state) for job in page.jobs] == [(job_id, JobState.CANCELLED)]


async def test_weights_without_a_signer_have_a_warning() -> None:
    handlers = handlers_of(SimulatedJobs(World()), SignerDirectory([ALICE], grace_s=0.0))
    assert "no signer" in ((await put_weights(handlers)).warning or "")


async def test_an_unknown_job_is_not_found() -> None:
    with pytest.raises(FailureError) as refused:
        await handlers_of(SimulatedJobs(World())).get_job(call(JobParams(job_id=JobId("a" * 26))))
    assert refused.value.code is ErrorCode.NOT_FOUND


async def test_a_commitment_that_is_not_confirmed_in_time_continues() -> None:
    system = SimulatedJobs(World())
    params = SetCommitment(commitment="0x00")
    with pytest.raises(FailureError) as late:
        await handlers_of(system).set_commitment(call(params))
    assert late.value.code is ErrorCode.DEADLINE_EXCEEDED
    (job,) = {job.job_id: job for job in system.changes}.values()
    assert (await system.run_until_ended(job)).state is JobState.CONFIRMED


async def test_a_certificate_job_is_released_with_its_response() -> None:
    system = SimulatedJobs(World())
    await handlers_of(system).generate_certificate(call(GenerateCertificate(algorithm=1)))
    assert not (await system.stored(system.changes[-1])).record.unanswered
