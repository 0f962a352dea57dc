"""The request server, with a client whose messages the tests deliver."""

import asyncio
import json
import logging
from typing import Any

import nats.errors
import pytest
from nats.aio.msg import Msg

from pylon.rpc.calls import CallResult, Handler, ServiceCall
from pylon.rpc.request_server import (
    ALL_REQUESTS,
    MAX_PENDING_REQUESTS,
    MAX_REPLIES_IN_TURN,
    RequestServer,
)
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import OPERATIONS_BY_NAME, Scope
from pylon_client.contract.reads import LATEST_NEURONS
from pylon_client.contract.subjects import CANCELLATIONS
from pylon_client.contract.topology import QUEUE_GROUP
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_connection import NatsConnection, connect
from tests.support.nats.fake_nats_client import FakeSubscription, client_of, message
from tests.support.product.eventually import HANGS_AFTER_S

IDENTITIES = {IdentityName("alice"): NetUid(1)}
LATEST = "pylon.v1.open.1.neurons.latest"
INBOX = "_INBOX.open.x"

pytestmark = pytest.mark.usefixtures("fake_nats")


class Served:
    """A started server, and the messages to and from it."""

    def __init__(self, connection: NatsConnection, server: RequestServer) -> None:
        self.client = client_of(connection)
        self.server = server

    def subscription(self, subject: str) -> FakeSubscription:
        (found,) = (each for each in self.client.subscriptions if each.subject == subject)
        return found

    async def deliver(self, subject: str, *, reply: str = INBOX, **fields: Any) -> None:
        """Deliver a request on its subscription; on return, its handler has started."""
        wildcard = next(each for each in ALL_REQUESTS if subject.startswith(each.rstrip(".>")))
        await self.subscription(wildcard).deliver(message(subject, reply=reply, **fields))

    async def reply(self) -> tuple[bytes, dict[str, str]]:
        """Return body and headers of the only reply, which is sent within some turns."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while not self.client.published:
                await asyncio.sleep(0)
        ((subject, body, headers),) = self.client.published
        assert subject == INBOX
        return body, headers

    async def failure_code(self) -> str:
        body, headers = await self.reply()
        assert headers[wire_headers.ERROR] == json.loads(body)["code"]
        return headers[wire_headers.ERROR]


async def serve(handler: Handler[Any], max_requests: int = 100) -> Served:
    connection = await connect(ConnectionOptions(("nats://a:4222",), user="worker"))
    handlers = dict.fromkeys(OPERATIONS_BY_NAME, handler)
    server = RequestServer(connection, handlers, identities=IDENTITIES, max_requests=max_requests)
    await server.start()
    return Served(connection, server)


async def done(_call: ServiceCall[Any]) -> bytes:
    return b"done"


class Blocking:
    """A handler that waits until the test releases it."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, _call: ServiceCall[Any]) -> bytes:
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b"done"


async def test_requests_are_shared_and_cancellations_reach_every_worker() -> None:
    served = await serve(done)
    for subject in ALL_REQUESTS:
        options = served.subscription(subject).options
        assert options["queue"] == QUEUE_GROUP
        assert options["pending_msgs_limit"] == MAX_PENDING_REQUESTS
    for subject in (*CANCELLATIONS, *served.server.discovery.subjects):
        assert served.subscription(subject).options["queue"] == ""
    assert served.server.is_serving
    assert served.client.calls[-1] == "flush"


async def test_a_request_is_parsed_executed_and_answered() -> None:
    calls: list[ServiceCall[Any]] = []

    async def handler(call: ServiceCall[Any]) -> bytes:
        calls.append(call)
        return b"done"

    served = await serve(handler)
    await served.deliver(LATEST, headers={wire_headers.REQUEST_ID: "r"})
    body, headers = await served.reply()
    assert (body, headers) == (b"done", {wire_headers.CONTRACT: "v1"})
    assert [(call.operation, call.netuid, call.request_id) for call in calls] == [
        ("neurons.latest", 1, "r")
    ]
    counts = served.server.discovery.endpoints[Scope.OPEN, "neurons.latest"]
    assert (counts.requests, counts.errors) == (1, 0)
    await served.server.drain(HANGS_AFTER_S)
    assert served.server.in_progress == 0


async def test_an_invalid_request_and_a_failure_are_answered_with_an_error() -> None:
    async def fail(_call: ServiceCall[Any]) -> bytes:
        raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "no chain")

    served = await serve(fail)
    await served.deliver(LATEST, data=b"no json")
    assert await served.failure_code() == ErrorCode.INVALID
    served.client.published.clear()
    await served.deliver(LATEST)
    assert await served.failure_code() == ErrorCode.CHAIN_UNAVAILABLE
    counts = served.server.discovery.endpoints[Scope.OPEN, "neurons.latest"]
    assert (counts.requests, counts.errors) == (1, 1)
    assert "no chain" in counts.last_error


async def serve_from_memory() -> Served:
    """Serve the latest neurons from memory, with one permit."""
    served = await serve(Blocking(), max_requests=1)
    served.server.add_memory(LATEST_NEURONS, lambda _: CallResult(b"stored"))
    return served


async def test_a_request_is_answered_from_memory_without_a_task() -> None:
    served = await serve_from_memory()
    for number in range(1, MAX_REPLIES_IN_TURN):
        await served.deliver(LATEST)
        assert len(served.client.published) == number, "it was sent before the next message"
        assert served.server.in_progress == 0
    assert {body for _, body, _ in served.client.published} == {b"stored"}
    counts = served.server.discovery.endpoints[Scope.OPEN, "neurons.latest"]
    assert (counts.requests, counts.errors) == (MAX_REPLIES_IN_TURN - 1, 0)
    assert served.server.counts.overloaded == 0, "each request releases its permit"


async def test_a_request_from_memory_is_checked_like_any_other() -> None:
    served = await serve_from_memory()
    await served.deliver(LATEST, headers={wire_headers.TIMEOUT: "0"})
    assert await served.failure_code() == ErrorCode.DEADLINE_EXCEEDED
    served.client.published.clear()
    await served.deliver(LATEST, reply="_INBOX.worker.x")
    await served.deliver(LATEST, headers={wire_headers.CANCEL_ID: "a"}, data=b"no json")
    assert await served.failure_code() == ErrorCode.INVALID
    served.client.published.clear()
    while served.server.counts.overloaded == 0:
        await served.deliver("pylon.v1.open.1.validators.latest")
    served.client.published.clear()
    await served.deliver(LATEST)
    assert await served.failure_code() == ErrorCode.OVERLOADED
    await served.server.drain(0)


async def test_other_tasks_run_between_replies_from_memory() -> None:
    served = await serve_from_memory()
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(served.client.published)))
    for _ in range(MAX_REPLIES_IN_TURN):
        await served.deliver(LATEST)
    assert turns == [MAX_REPLIES_IN_TURN]


async def test_a_request_with_an_invalid_reply_subject_is_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    served = await serve(done)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await served.deliver(LATEST, reply="_INBOX.worker.x")
    assert served.server.counts.invalid_replies == 5
    assert served.client.published == []
    # It is logged at 1, 2 and 4.
    assert caplog.text.count("invalid reply subject") == 3


async def test_a_request_beyond_the_callers_share_is_rejected_at_once() -> None:
    handler = Blocking()
    served = await serve(handler, max_requests=1)
    while served.server.counts.overloaded == 0:
        await served.deliver(LATEST)
    assert await served.failure_code() == ErrorCode.OVERLOADED
    in_progress = served.server.in_progress
    served.client.published.clear()
    await served.deliver("pylon.v1.identity.alice.neurons.latest", reply="_INBOX.alice.x")
    assert served.server.in_progress == in_progress + 1, "the identity has a share of its own"
    await served.server.drain(0)


async def test_a_cancelled_request_ends_its_work_and_gets_no_reply() -> None:
    handler = Blocking()
    served = await serve(handler)
    await served.deliver(LATEST, headers={wire_headers.CANCEL_ID: "c"})
    (subject, *_) = CANCELLATIONS
    await served.subscription(subject).deliver(message(data=b"c"))
    await asyncio.wait_for(handler.cancelled.wait(), HANGS_AFTER_S)
    await served.server.drain(HANGS_AFTER_S)
    assert served.client.published == []
    assert served.server.counts.cancelled == 1
    counts = served.server.discovery.endpoints[Scope.OPEN, "neurons.latest"]
    assert counts.last_error == ErrorCode.CANCELLED


async def test_a_request_that_was_cancelled_before_it_arrived_is_not_executed() -> None:
    served = await serve(done)
    (subject, *_) = CANCELLATIONS
    await served.subscription(subject).deliver(message(data=b"c"))
    await served.deliver(LATEST, headers={wire_headers.CANCEL_ID: "c"})
    assert (served.server.in_progress, served.server.counts.cancelled) == (0, 1)
    assert served.client.published == []


async def test_draining_finishes_requests_in_progress() -> None:
    handler = Blocking()
    served = await serve(handler)
    await served.deliver(LATEST)
    draining = asyncio.create_task(served.server.drain(HANGS_AFTER_S))
    await asyncio.sleep(0)
    handler.release.set()
    await draining
    assert (await served.reply())[0] == b"done"
    assert not served.server.is_serving
    assert all(each.is_unsubscribed for each in served.client.subscriptions)


async def test_draining_cancels_slow_requests_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    served = await serve(Blocking())
    await served.deliver(LATEST)
    await served.server.drain(0)
    assert await served.failure_code() == ErrorCode.SHUTTING_DOWN
    assert served.server.in_progress == 0
    assert "Cancelling 1 requests in progress: TimeoutError" in caplog.text


async def test_further_subjects_are_served_until_they_are_removed() -> None:
    served = await serve(done)
    remove = await served.server.add_subjects(["pylon.v1.x", "pylon.v1.y"])
    added = [served.subscription(subject) for subject in ("pylon.v1.x", "pylon.v1.y")]
    assert all(each.options["queue"] == QUEUE_GROUP for each in added)
    await remove()
    assert all(each.is_unsubscribed for each in added)
    assert served.server.is_serving


async def test_a_denied_subscription_of_requests_is_raised() -> None:
    served = await serve(done)
    report = served.client.callbacks["error_cb"]
    denied = "nats: 'Permissions Violation for Subscription to \"{}\"'"
    await report(nats.errors.Error(denied.format("pylon.v1.event.block")))
    assert not served.server.subscription_denied.is_set()
    await report(nats.errors.Error(denied.format(ALL_REQUESTS[0])))
    assert served.server.subscription_denied.is_set()
    with pytest.raises(FailureError) as caught:
        await served.server.start()
    assert caught.value.code is ErrorCode.FORBIDDEN


async def test_a_discovery_request_is_answered_only_at_an_inbox() -> None:
    served = await serve(done)
    subscription = served.subscription("$SRV.*")

    def ping(reply: str) -> Msg:
        return message("$SRV.PING", reply=reply)

    await subscription.deliver(ping("pylon.v1.open.1.neurons.latest"))
    await subscription.deliver(message("$SRV.OTHER", reply=INBOX))
    assert served.client.published == []
    await subscription.deliver(ping(INBOX))
    body, _ = await served.reply()
    assert json.loads(body)["id"] == served.server.discovery.id
