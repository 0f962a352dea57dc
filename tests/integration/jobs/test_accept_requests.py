"""Accepting a write waits for JetStream at most four times, and sends few requests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import provision_streams
from pylon.jetstream.work_queue import WorkQueue
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.job_store import JobStore
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import IdentityName, JobKind, MechanismId, NetUid
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.product.adversary import World
from tests.support.product.fake_signers import signers_of

ALICE = IdentityName("alice")
MAX_WAITS = 4
"""Maximum number of consecutive requests to JetStream of an accepted write."""


class RequestCounter:
    """Counts the requests of a connection, and how many of them follow each other.

    Attributes:
        requests: number of requests.
        waits: number of requests that were sent one after the reply to the other.
    """

    def __init__(self, client: Client) -> None:
        self.requests = self.waits = 0
        self._answered = 0
        self._send: Any = client.request  # pyright: ignore[reportUnknownMemberType] -- the library's headers are of anything

    async def request(self, *arguments: Any, **options: Any) -> Any:
        self.requests += 1
        place = self._answered + 1
        self.waits = max(self.waits, place)
        reply = await self._send(*arguments, **options)
        self._answered = max(self._answered, place)
        return reply


@asynccontextmanager
async def job_streams(folder: Path) -> AsyncGenerator[NatsConnection]:
    async with NatsServer(folder) as server:
        connection = await connect(ConnectionOptions(urls=(server.url,)))
        try:
            await provision_streams(connection, (JOB_STORE, JOB_QUEUE))
            yield connection
        finally:
            await connection.close()


def weights(number: int, key: str | None = None) -> WriteRequest:
    params = {"weights": {"hotkey": float(number)}}
    return WriteRequest(
        ALICE, NetUid(1), JobKind.WEIGHTS, params, MechanismId(0), idempotency_key=key
    )


async def ignore_change(_job: Job) -> None:
    pass


def jobs_of(connection: NatsConnection) -> tuple[JobStore, JobAcceptor]:
    bucket = OrderedBucket(connection, JOBS_BUCKET)
    store = JobStore(bucket, ignore_change, ended_retention_days=1)
    queue = WorkQueue(connection)
    return store, JobAcceptor(store, queue, World().process(), signers_of(ALICE))


@pytest.mark.parametrize("key", [None, "its key"])
@pytest.mark.parametrize(
    ("older", "requests"), [(None, 5), (JobState.ACCEPTED, 7), (JobState.CANCELLED, 6)]
)
async def test_a_new_job_takes_four_waits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    older: JobState | None,
    requests: int,
    key: str | None,
) -> None:
    async with job_streams(tmp_path) as connection:
        store, acceptor = jobs_of(connection)
        if older is not None:
            first = await acceptor.accept(weights(1))
            if older is JobState.CANCELLED:
                await acceptor.cancel(ALICE, first.job_id)
        counter = RequestCounter(connection.nats)
        monkeypatch.setattr(connection.nats, "request", counter.request)
        job = await acceptor.accept(weights(2, key))
        assert counter.waits <= MAX_WAITS
        # With a key: the read of its job, beside that of the latest one.
        assert counter.requests == requests + (key is not None)
        entry = await store.latest.entry(weights(2).subject)
        assert entry.latest.job_id == job.job_id


@pytest.mark.parametrize("key", [None, "its key"])
async def test_a_repeated_request_takes_four_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    async with job_streams(tmp_path) as connection:
        _, acceptor = jobs_of(connection)
        job = await acceptor.accept(weights(1, key))
        counter = RequestCounter(connection.nats)
        monkeypatch.setattr(connection.nats, "request", counter.request)
        assert (await acceptor.accept(weights(1, key))).job_id == job.job_id
        assert counter.waits <= MAX_WAITS
        assert counter.requests <= MAX_WAITS
