"""Requests over a NATS client without a server: headers, cancellation, failures."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import nats.errors
import pytest

from pylon_client.contract import headers, json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import cancellation_subject
from pylon_client.nats.pending_requests import PendingRequests
from pylon_client.nats.request_sender import RequestSender
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.stepped_loop import run_stepped

READ = "pylon.v1.open.1.neurons.latest"
WRITE = "pylon.v1.identity.sn1.weights.put"
Answer = Callable[[], Any]


def reply(body: bytes = b"{}", **sent: str) -> Any:
    return SimpleNamespace(data=body, headers=sent)


class FakeNats:
    """Replies with the next answer, and the last one from then on; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, bytes, dict[str, str], float]] = []
        self.published: list[tuple[str, bytes]] = []
        self.publish_error: Exception | None = None

    async def request(
        self,
        subject: str,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 -- the library's own
        headers: dict[str, str],
    ) -> Any:
        self.requests.append((subject, body, dict(headers), timeout))
        await asyncio.sleep(0)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        return answer

    async def publish(self, subject: str, body: bytes) -> None:
        if self.publish_error is not None:
            raise self.publish_error
        self.published.append((subject, body))


def sender_on(nats: FakeNats, *, connected: bool = True) -> Any:
    async def await_connected() -> None:
        if not connected:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")

    return RequestSender(cast("Any", nats), PendingRequests(), await_connected)


async def test_a_request_carries_its_timeout_and_the_contracts_version() -> None:
    nats = FakeNats(reply(b"body", **{headers.BLOCK_NUMBER: "7"}))
    received = await sender_on(nats).send(READ, b"params", {"X": "1"}, 5.0)
    assert (received.body, received.headers) == (b"body", {headers.BLOCK_NUMBER: "7"})
    ((subject, body, sent, timeout_s),) = nats.requests
    assert (subject, body, sent["X"]) == (READ, b"params", "1")
    assert 0 < headers.decode_timeout(sent[headers.TIMEOUT]) <= 5.0
    assert headers.seconds_left(sent[headers.DEADLINE]) <= 5.0
    assert sent[headers.CONTRACT] == "v1"
    assert headers.ACCEPT_PARTS in sent
    assert timeout_s > 5.0, "the library's timeout must not end first"


async def test_a_failure_in_the_reply_is_raised() -> None:
    failure = FailureError(ErrorCode.NOT_FOUND, "gone").failure
    failed = reply(json_codec.encode(failure.body()), **{headers.ERROR: failure.name})
    with pytest.raises(FailureError) as raised:
        await sender_on(FakeNats(failed)).send(READ, b"", {}, 5.0)
    assert raised.value.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (nats.errors.NoRespondersError(), ErrorCode.NATS_UNAVAILABLE, "No worker is running."),
        (nats.errors.TimeoutError(), ErrorCode.DEADLINE_EXCEEDED, "no reply within the timeout"),
        (nats.errors.ConnectionClosedError(), ErrorCode.NATS_UNAVAILABLE, "did not accept"),
    ],
)
async def test_errors_of_the_library_are_translated(
    error: Exception, code: ErrorCode, text: str
) -> None:
    with pytest.raises(FailureError, match=text) as raised:
        await sender_on(FakeNats(error)).send(READ, b"", {}, 5.0)
    assert raised.value.code is code


async def test_without_a_connection_nothing_is_sent() -> None:
    nats = FakeNats(reply())
    with pytest.raises(FailureError, match="no connection"):
        await sender_on(nats, connected=False).send(READ, b"", {}, 5.0)
    assert not nats.requests


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
async def test_nothing_is_sent_after_the_timeout(timeout_s: float) -> None:
    nats = FakeNats(reply())
    with pytest.raises(FailureError) as raised:
        await sender_on(nats).send(READ, b"", {}, timeout_s)
    assert raised.value.code is ErrorCode.DEADLINE_EXCEEDED
    assert not nats.requests


async def test_a_cancelled_request_is_cancelled_at_the_worker() -> None:
    nats_client = FakeNats(None)
    asking = asyncio.create_task(sender_on(nats_client).send(WRITE, b"", {}, HANGS_AFTER_S))
    while not nats_client.requests:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    ((_, _, sent, _),) = nats_client.requests
    assert nats_client.published == [
        (cancellation_subject(WRITE), sent[headers.CANCEL_ID].encode())
    ]


async def test_a_cancellation_that_cannot_be_sent_still_cancels() -> None:
    nats_client = FakeNats(None)
    nats_client.publish_error = nats.errors.ConnectionClosedError()
    asking = asyncio.create_task(sender_on(nats_client).send(WRITE, b"", {}, HANGS_AFTER_S))
    while not nats_client.requests:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()


def test_a_request_without_a_reply_ends_at_its_timeout() -> None:
    async def ask() -> None:
        with pytest.raises(FailureError) as raised:
            await sender_on(FakeNats(None)).send(READ, b"", {}, 5.0)
        assert raised.value.code is ErrorCode.DEADLINE_EXCEEDED

    run_stepped(ask())
