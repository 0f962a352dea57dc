"""Several workers accept writes concurrently, over real streams."""

import asyncio
from typing import Any

import pytest
from nats.js.client import JetStreamContext

from pylon.jetstream.bucket import Bucket, ConflictError
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.work_queue import WorkQueue
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.job_store import JobStore
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import IdentityName, JobKind, MechanismId, NetUid, Revision
from pylon_client.contract.writes import ListJobs
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.replicas import Nats
from tests.support.product.adversary import World
from tests.support.product.fake_signers import signers_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALICE = IdentityName("alice")
WORKERS = 4
ROUNDS = 15
PUTS = 240


async def not_announced(_job: Job) -> None:
    pass


def store_of(connection: NatsConnection) -> JobStore:
    return JobStore(OrderedBucket(connection, JOBS_BUCKET), not_announced, ended_retention_days=1)


async def accept_at_once(nats: Nats, round_number: int, *, vary: bool, key: bool) -> list[Job]:
    """Send one write request to each worker concurrently, and return the responses."""

    def write_request(worker: int) -> WriteRequest:
        request = {"weights": {"hotkey": float(round_number + 1), "other": float(vary and worker)}}
        return WriteRequest(
            ALICE,
            NetUid(1),
            JobKind.WEIGHTS,
            request,
            mechanism=MechanismId(0),
            idempotency_key=f"round-{round_number}" if key else None,
        )

    connections = [await nats.connect(worker) for worker in range(WORKERS)]
    acceptors = [
        JobAcceptor(store_of(one), WorkQueue(one), World().process(), signers_of(ALICE))
        for one in connections
    ]
    return await asyncio.gather(
        *(acceptor.accept(write_request(worker)) for worker, acceptor in enumerate(acceptors))
    )


@pytest.mark.parametrize("key", [False, True])
async def test_the_same_write_accepted_concurrently_is_one_job(nats: Nats, *, key: bool) -> None:
    connection = await nats.provision(JOB_STORE, JOB_QUEUE)
    for number in range(ROUNDS):
        jobs = await accept_at_once(nats, number, vary=False, key=key)
        assert len({job.job_id for job in jobs}) == 1
    await every_job_is_queued(connection, ROUNDS)


async def test_concurrent_different_writes_leave_the_latest_job(
    nats: Nats,
) -> None:
    connection = await nats.provision(JOB_STORE, JOB_QUEUE)
    for number in range(ROUNDS):
        jobs = await accept_at_once(nats, number, vary=True, key=False)
        assert len({job.job_id for job in jobs}) == WORKERS
    await every_job_is_queued(connection, ROUNDS * WORKERS)


async def test_writes_of_one_queue_are_serialized_in_a_worker(
    nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision(JOB_STORE, JOB_QUEUE)
    connection = await nats.connect()
    conflicts = 0
    real_put = Bucket.put

    async def put(*args: Any, **options: Any) -> Revision:
        nonlocal conflicts
        try:
            return await real_put(*args, **options)
        except ConflictError:
            conflicts += 1
            raise

    monkeypatch.setattr(Bucket, "put", put)
    acceptor = JobAcceptor(
        store_of(connection), WorkQueue(connection), World().process(), signers_of(ALICE)
    )
    jobs = await asyncio.gather(
        *(
            acceptor.accept(
                WriteRequest(
                    ALICE, NetUid(1), JobKind.WEIGHTS, {"weights": {"a": n}}, MechanismId(0)
                )
            )
            for n in range(PUTS)
        )
    )
    assert len({job.job_id for job in jobs}) == PUTS
    assert conflicts == 0


async def every_job_is_queued(connection: NatsConnection, count: int) -> None:
    """Each job is stored and queued, and all but the latest are superseded."""
    stored = (await store_of(connection).page(ALICE, ListJobs())).jobs
    assert len(stored) == count
    numbers = sorted(one.record.number for one in stored)
    assert len(set(numbers)) == count
    left = [one for one in stored if one.job.state is not JobState.SUPERSEDED]
    assert [one.record.number for one in left] == [max(numbers)]
    # A job that was superseded before it was queued may be missing in the queue.
    queued = (await JetStreamContext(connection.nats).stream_info(JOB_QUEUE.name)).state.messages
    assert 1 <= queued <= count
