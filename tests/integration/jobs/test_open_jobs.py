"""The index of open jobs over real streams: updates, older job stores, and recreated streams."""

import pytest
from nats.js.client import JetStreamContext

from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import provision_streams
from pylon.jetstream.work_queue import WorkQueue
from pylon.jobs import open_jobs
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.job_store import JobStore
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from pylon_client.contract.writes import ListJobs
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.replicas import Nats
from tests.support.product.adversary import World
from tests.support.product.ended_jobs import job_of, write_ended
from tests.support.product.eventually import comes_true
from tests.support.product.fake_signers import signers_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALICE = IdentityName("alice")
OLDER = 300


async def not_announced(_job: Job) -> None:
    pass


def store_of(connection: NatsConnection) -> JobStore:
    return JobStore(OrderedBucket(connection, JOBS_BUCKET), not_announced, ended_retention_days=1)


async def accept(connection: NatsConnection, number: int) -> Job:
    acceptor = JobAcceptor(
        store_of(connection), WorkQueue(connection), World().process(), signers_of(ALICE)
    )
    request = {"commitment": f"0x{number:04x}"}
    return await acceptor.accept(WriteRequest(ALICE, NetUid(1), JobKind.COMMITMENT, request))


async def open_ids(connection: NatsConnection) -> list[JobId]:
    return [stored.job.job_id for stored in await store_of(connection).open_jobs(ALICE)]


async def markers(connection: NatsConnection) -> list[str]:
    return await OrderedBucket(connection, JOBS_BUCKET).keys(f"open.{ALICE}.{JobKind.COMMITMENT}")


async def test_markers_are_written_with_jobs_and_removed_with_their_end(nats: Nats) -> None:
    connection, another = await nats.provision(JOB_STORE, JOB_QUEUE), await nats.connect(1)
    jobs = [await accept(connection, number) for number in range(5)]
    assert await open_ids(another) == [jobs[-1].job_id]  # each superseded the one before
    assert len(await markers(connection)) == 1
    store = store_of(connection)
    stored = await store.get(ALICE, jobs[-1].job_id)
    assert stored is not None
    await store.change(stored, JobState.CANCELLED)
    assert await open_ids(another) == []
    assert await markers(connection) == []
    page = await store_of(another).page(ALICE, ListJobs(state="ended"))
    assert [one.job.job_id for one in page.jobs] == [job.job_id for job in reversed(jobs)]


async def test_open_jobs_of_an_older_version_are_indexed_and_queued(
    nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_jobs, "UPGRADE_OVERLAP_S", 1)
    connection = await nats.provision(JOB_STORE, JOB_QUEUE)
    await write_ended(connection, ALICE, range(OLDER))
    job = await accept(connection, 1)
    await write_ended(connection, ALICE, range(OLDER, 2 * OLDER))
    stream = JetStreamContext(connection.nats, timeout=5)
    await stream.purge_stream(JOB_STORE.name, subject=f"$KV.{JOBS_BUCKET}.open.>")
    await stream.purge_stream(JOB_QUEUE.name)
    another = await nats.connect(1)
    assert await open_ids(another) == [job.job_id]
    # Workers of the older version may still store jobs without a marker.
    await stream.purge_stream(
        JOB_STORE.name, subject=f"$KV.{JOBS_BUCKET}.{(await markers(another))[0]}"
    )

    async def is_found_again() -> bool:
        return await open_ids(another) == [job.job_id]

    await comes_true(is_found_again)

    async def is_index_complete() -> bool:
        await open_ids(another)
        flag = await OrderedBucket(another, JOBS_BUCKET).entries(f"open.{ALICE}")
        return any(entry.key.endswith(".indexed") for entry in flag)

    await comes_true(is_index_complete)
    page = await store_of(another).page(ALICE, ListJobs(limit=3))
    assert [one.job.job_id for one in page.jobs][1:] == [
        job_of(2 * OLDER - 1),
        job_of(2 * OLDER - 2),
    ]


async def test_a_job_store_that_was_recreated_is_indexed_again(nats: Nats) -> None:
    connection = await nats.provision(JOB_STORE, JOB_QUEUE)
    lost = await accept(connection, 1)
    assert await open_ids(connection) == [lost.job_id]
    await JetStreamContext(connection.nats).delete_stream(JOB_STORE.name)
    await provision_streams(connection, (JOB_STORE,), replicas=nats.replicas)
    assert await open_ids(connection) == []
    again = await accept(connection, 1)
    assert again.job_id == lost.job_id
    assert await open_ids(connection) == [again.job_id]
    page = await store_of(connection).page(ALICE, ListJobs())
    assert [one.job.job_id for one in page.jobs] == [again.job_id]
