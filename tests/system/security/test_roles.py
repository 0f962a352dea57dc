"""The operations that each worker role serves; the user of readers cannot write."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import BLOCK_EVENTS, READER_USER
from pylon_client.contract.topology import EVENTS, JOB_QUEUE, JOB_STORE, STREAMS
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.v1 import JobState
from tests.support.nats.replicas import Nats
from tests.support.product.deployment import READER_PASSWORD
from tests.support.product.eventually import comes_true
from tests.support.product.job_deployment import Deployment, IdentityOf, ended, weights_of
from tests.support.product.worker_process import ITS_TURN

pytestmark = pytest.mark.asyncio(loop_scope="module")

READ = "pylon.v1.open.1.neurons.latest"
OWN_READ = "pylon.v1.identity.sn2.neurons.latest"
JOBS_OF = "pylon.v1.identity.sn2.jobs.list"
CONFINED = {"PYLON_WORKER_ROLE": "reader", "PYLON_NATS_READER_PASSWORD": READER_PASSWORD}
FORGED = b"forged"
PUBLISHED = {None, ErrorCode.NOT_FOUND}
"""Results of a request for what is published; at first there is nothing."""
SIGNER = {"PYLON_WORKER_ROLE": "signer"}


@pytest_asyncio.fixture(loop_scope="module")
async def reader(nats: Nats) -> AsyncGenerator[NatsConnection]:
    """Connect with the password of readers only."""
    yield await nats.connect(user=READER_USER)


async def code_of(connection: NatsConnection, subject: str) -> ErrorCode | None:
    try:
        await connection.request(subject, timeout_s=60)
    except FailureError as error:
        return error.code
    return None


async def wait_until_served(connection: NatsConnection, subject: str) -> None:
    """Wait until a request is answered; a worker's first connection to the chain takes time."""

    async def is_served() -> bool:
        return await code_of(connection, subject) is None

    await comes_true(is_served)


async def test_a_signer_answers_no_reads_of_the_chain(nats: Nats, deployment: Deployment) -> None:
    stranger, sn2 = await nats.connect(user=None), await nats.connect(user="sn2")
    async with deployment.worker(**SIGNER) as signer:
        await signer.logs(ITS_TURN)
        assert await code_of(stranger, READ) is ErrorCode.NATS_UNAVAILABLE
        assert await code_of(sn2, OWN_READ) is ErrorCode.NATS_UNAVAILABLE
        await wait_until_served(sn2, JOBS_OF)
        async with deployment.worker(**CONFINED):
            await wait_until_served(stranger, READ)
            await wait_until_served(sn2, OWN_READ)
            await wait_until_served(sn2, JOBS_OF)
            assert await code_of(stranger, "pylon.v1.open.chain.events.block") in PUBLISHED


async def test_a_restricted_reader_and_a_signer_serve_everything(
    nats: Nats, deployment: Deployment, identity: IdentityOf
) -> None:
    """The reader serves published values, and catches up after a restart."""
    async with deployment.worker(**SIGNER) as signer:
        await signer.logs(ITS_TURN)
        stranger = await nats.connect(user=None)
        async with deployment.worker(**CONFINED) as reader:
            await wait_until_served(stranger, READ)
            await reader.kill()
        async with deployment.worker(**CONFINED):
            await wait_until_served(stranger, READ)
            sn2 = await identity("sn2")
            accepted = await sn2.put_weights(weights_of(deployment.devnet, 2, 3))
            assert (await ended(sn2, accepted.job_id)).state is JobState.CONFIRMED


async def test_the_reader_user_can_neither_store_nor_change_anything(
    nats: Nats, deployment: Deployment, reader: NatsConnection
) -> None:
    async with deployment.worker() as worker:
        await worker.logs(ITS_TURN)
        admin = (await nats.connect()).nats.jetstream()
        forbidden = {
            *(subject.replace("*", "1").replace(">", "x") for subject in JOB_QUEUE.subjects),
            *(subject.replace(">", "x") for subject in JOB_STORE.subjects),
            BLOCK_EVENTS,
            "pylon.v1.event.neurons.1",
            "pylon.v1.event.signer.sn2",
            "pylon.v1.identity.sn2.weights.put",
            "_INBOX.worker.anything",
            f"$JS.API.STREAM.PURGE.{JOB_STORE.name}",
            f"$JS.API.STREAM.DELETE.{EVENTS.name}",
            f"$JS.API.STREAM.MSG.GET.{JOB_STORE.name}",
            f"$JS.API.DIRECT.GET.{EVENTS.name}",
            "$JS.API.STREAM.NAMES",
            "$JS.ACK.anything",
        }
        refused = reader.counts.permission_violations
        for number, subject in enumerate(sorted(forbidden), 1):
            # JetStream would send its reply to any subject that a message names.
            await reader.nats.publish(subject, FORGED, reply="$KV.pylon_jobs.x")
            await reader.nats.flush()
            assert reader.counts.permission_violations == refused + number, subject
        # The worker writes to the streams at the same time.
        for plan in STREAMS:
            state = (await admin.stream_info(plan.name)).state
            for sequence in range(max(1, state.first_seq), state.last_seq + 1):
                with contextlib.suppress(NotFoundError):  # it was replaced or has expired
                    assert (await admin.get_msg(plan.name, sequence)).data != FORGED


async def test_only_readers_request_replays(nats: Nats, deployment: Deployment) -> None:
    async with deployment.worker() as worker:
        await worker.logs(ITS_TURN)
        reader = await nats.connect(user=READER_USER)
        await wait_until_served(reader, "pylon.v1.replay.chain.events.block")
        for user in (None, "sn2"):
            other = await nats.connect(user=user)
            with pytest.raises((FailureError, NatsError, asyncio.TimeoutError)):
                await other.request("pylon.v1.replay.chain.events.block", timeout_s=5)
        assert await code_of(reader, "pylon.v1.replay.1.neurons.latest") is ErrorCode.NOT_FOUND
