"""A flood of requests delays only requests."""

import pytest

from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import MAX_PENDING_REQUESTS, RequestServer
from pylon_client.contract.failures import FailureError
from pylon_client.contract.operations import LATEST_BLOCK, OPERATIONS_BY_NAME
from pylon_client.contract.subjects import BLOCK_EVENTS
from pylon_client.v1 import BasePylonException, JobState
from pylon_devnet import Devnet
from tests.support.nats.raw_nats import RawNats
from tests.support.nats.replicas import Nats
from tests.support.product.eventually import comes_true
from tests.support.product.flood import flood
from tests.support.product.job_deployment import (
    Deployment,
    IdentityOf,
    is_deferred,
    wait_until,
    weights_of,
)
from tests.support.product.sizes import sized
from tests.support.product.worker_process import ITS_TURN

pytestmark = pytest.mark.asyncio(loop_scope="module")

RETRY_AFTER_S = 5.0
BLOCKS = sized(usual=40, full=100)
"""Minimum duration of the flood, in blocks."""


async def test_publishing_leases_and_jobs_continue_during_a_flood(
    nats: Nats, deployment: Deployment, identity: IdentityOf, devnet: Devnet
) -> None:
    published: list[str] = []

    async def take(message: object) -> None:
        published.append(str(message))

    async with deployment.worker() as worker:
        await worker.logs(ITS_TURN)
        listener = await nats.connect()
        await listener.subscribe(BLOCK_EVENTS, take)
        sn1 = await identity("sn1")
        devnet.set_hyperparameter(1, "WeightsSetRateLimit", BLOCKS)
        weights = weights_of(devnet, 1, 3)
        first = await sn1.put_weights(weights)
        await wait_until(sn1, first.job_id, lambda job: job.state is JobState.CONFIRMED)
        applied = deployment.applied()
        second = await sn1.put_weights(weights_of(devnet, 1, 4))
        await wait_until(sn1, second.job_id, is_deferred)
        seen = len(published)
        async with flood(nats.url):

            async def is_done() -> bool:
                return deployment.applied() > applied and len(published) > seen + BLOCKS

            await comes_true(is_done)

        async def is_answered() -> bool:
            # NATS may have cut off the connection for requests, or a request may be lost with it.
            async with deployment.identity("sn1", timeout_s=RETRY_AFTER_S) as asking:
                try:
                    done = await asking.get_job(second.job_id)
                except BasePylonException:
                    return False
            return done.state is JobState.CONFIRMED

        await comes_true(is_answered)
        # Submitted once, in spite of the rate limit.
        assert deployment.applied() == applied + 1


async def test_a_worker_buffers_a_bounded_number_of_requests_and_answers_later_ones(
    nats: Nats,
) -> None:
    async def handler(_: ServiceCall) -> bytes:
        return b"{}"

    worker, caller = await nats.connect(), await nats.connect(user=None)
    handlers = dict.fromkeys(OPERATIONS_BY_NAME, handler)
    service = RequestServer(worker, handlers, identities={}, max_requests=100)
    await service.start()
    subject = f"pylon.v1.open.chain.{LATEST_BLOCK.name}"
    async with RawNats(nats.urls[0], None, "", lambda *_: None) as attacker:
        for number in range(10 * MAX_PENDING_REQUESTS):
            attacker.publish(subject.encode(), reply=b"_INBOX.open.flood.%d" % number)
        await attacker.flush()

    async def is_answered() -> bool:
        try:
            await caller.request(subject, timeout_s=1)
        except FailureError:
            return False  # it was dropped, or waits behind the flood
        return True

    await comes_true(is_answered)
    assert worker.counts.slow_consumer_drops > MAX_PENDING_REQUESTS
    await service.drain(0)
