"""Requests and subscriptions of a connection, with a client that the tests control."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import nats.errors
import pytest
from nats.aio.msg import Msg

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats import nats_connection
from pylon_client.nats.nats_connection import (
    MAX_HEADERS_BYTES,
    ConnectionOptions,
    NatsConnection,
    connect,
)
from pylon_client.nats.nats_reply import Reply
from tests.support.nats.fake_nats_client import FakeNatsClient, client_of, message
from tests.support.product.eventually import HANGS_AFTER_S

URLS = ("nats://a:4222", "nats://b:4222", "nats://c:4222")
READ = "pylon.v1.open.1.neurons.latest"
WRITE = "pylon.v1.identity.sn1.weights.put"

pytestmark = pytest.mark.usefixtures("fake_nats")


async def opened() -> NatsConnection:
    return await connect(ConnectionOptions(URLS[:1]))


async def ignore(_message: Msg) -> None:
    return


def attempts_of(
    monkeypatch: pytest.MonkeyPatch, error_of: Callable[[str], Exception | None]
) -> list[str]:
    """Let the first connect to a server fail; return the list of the servers tried first."""
    tried: list[str] = []

    async def on_connect(url: str) -> None:
        tried.append(url)
        if (error := error_of(url)) is not None:
            raise error

    monkeypatch.setattr(FakeNatsClient, "on_connect", staticmethod(on_connect))
    monkeypatch.setattr(nats_connection, "shuffle_nats_urls", lambda urls: urls)
    return tried


async def test_each_server_is_tried_first_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = attempts_of(monkeypatch, lambda url: None if url == URLS[2] else OSError("refused"))
    connection = await connect(ConnectionOptions(URLS, connect_timeout_s=6))
    assert tried == list(URLS)
    assert client_of(connection).options["urls"] == [URLS[2], URLS[0], URLS[1]]
    assert client_of(connection).options["connect_timeout"] == 2


async def test_the_last_failure_is_raised_when_no_server_responds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = attempts_of(monkeypatch, lambda _: nats.errors.NoServersError())
    with pytest.raises(FailureError, match="connection refused") as caught:
        await connect(ConnectionOptions(URLS))
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE
    assert tried == list(URLS)


async def test_rejected_credentials_are_raised_without_trying_other_servers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = attempts_of(monkeypatch, lambda _: nats.errors.AuthorizationError())
    with pytest.raises(FailureError) as caught:
        await connect(ConnectionOptions(URLS, user="sn1"))
    assert caught.value.code is ErrorCode.FORBIDDEN
    assert tried == [URLS[0]]


async def test_a_body_too_large_for_the_server_is_rejected_before_it_is_sent() -> None:
    connection = await opened()
    largest = client_of(connection).max_payload - MAX_HEADERS_BYTES
    assert connection.max_payload_bytes == largest
    with pytest.raises(FailureError, match=f"{largest + 1} bytes") as caught:
        await connection.request(READ, b"x" * (largest + 1))
    assert caught.value.code is ErrorCode.INVALID
    assert client_of(connection).requested == []


def lose_the_first_request(connection: NatsConnection) -> Callable[[str], Awaitable[Msg]]:
    """Return replies that begin after the connection was lost and restored once."""
    client = client_of(connection)

    async def on_request(_subject: str) -> Msg:
        if len(client.requested) == 1:
            await client.callbacks["disconnected_cb"]()
            await client.callbacks["reconnected_cb"]()
            await asyncio.Event().wait()
        return message(data=b"reply")

    return on_request


async def test_a_read_is_sent_again_after_a_short_outage() -> None:
    connection = await opened()
    client_of(connection).on_request = lose_the_first_request(connection)
    reply = await connection.request(READ, timeout_s=HANGS_AFTER_S)
    assert reply.body == b"reply"
    assert client_of(connection).requested == [READ, READ]


async def test_a_write_is_not_sent_again_after_an_outage() -> None:
    connection = await opened()
    client_of(connection).on_request = lose_the_first_request(connection)
    with pytest.raises(FailureError) as caught:
        await connection.request(WRITE, timeout_s=HANGS_AFTER_S)
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE
    assert client_of(connection).requested == [WRITE]


async def test_a_write_waits_for_a_signer_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_connection, "SIGNER_RETRY_DELAY_S", 0.02)
    connection = await opened()
    client, timeouts_s = client_of(connection), list[float]()
    send = connection._sender.send

    async def record(
        subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        timeouts_s.append(timeout_s)
        return await send(subject, body, headers, timeout_s)

    async def on_request(_subject: str) -> Msg:
        if len(client.requested) < 3:
            raise nats.errors.NoRespondersError
        return message(data=b"accepted")

    monkeypatch.setattr(connection._sender, "send", record)
    client.on_request = on_request
    assert (await connection.request(WRITE, timeout_s=60.0)).body == b"accepted"
    assert timeouts_s == sorted(timeouts_s, reverse=True)
    assert timeouts_s[0] - timeouts_s[-1] >= 0.03, "a later attempt has less time left"


async def test_neither_a_read_nor_a_late_write_waits_for_a_signer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_connection, "MAX_SIGNER_WAIT_S", 0.0)
    connection = await opened()

    async def on_request(_subject: str) -> Msg:
        raise nats.errors.NoRespondersError

    client_of(connection).on_request = on_request
    for subject in (READ, WRITE):
        with pytest.raises(FailureError, match="No worker is running"):
            await connection.request(subject, timeout_s=60.0)
    assert client_of(connection).requested == [READ, WRITE]


async def test_a_read_is_not_sent_again_after_the_retry_window_or_while_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = FailureError(ErrorCode.NATS_UNAVAILABLE, "lost")
    connection = await opened()
    assert not connection._may_retry_read(lost)
    await client_of(connection).callbacks["disconnected_cb"]()
    assert connection._may_retry_read(lost)
    assert not connection._may_retry_read(FailureError(ErrorCode.NOT_FOUND, "no such subnet"))
    with monkeypatch.context() as elapsed:
        elapsed.setattr(nats_connection, "READ_RETRY_WINDOW_S", -1.0)
        assert not connection._may_retry_read(lost)
    await connection.close()
    assert not connection._may_retry_read(lost)


async def test_a_subscription_has_its_queue_and_limits() -> None:
    connection = await opened()
    await connection.subscribe("a", ignore, queue="q", max_pending_msgs=2, max_pending_bytes=3)
    (subscription,) = client_of(connection).subscriptions
    assert subscription.subject == "a"
    assert subscription.options == {
        "queue": "q",
        "cb": ignore,
        "pending_msgs_limit": 2,
        "pending_bytes_limit": 3,
    }


@pytest.mark.parametrize("lost", [None, "is_closed", "is_draining"])
async def test_a_subscription_of_a_block_ends_with_it_unless_the_connection_has_ended(
    lost: str | None,
) -> None:
    connection = await opened()
    async with connection.subscription("a", ignore):
        (subscription,) = client_of(connection).subscriptions
        assert not subscription.is_unsubscribed
        if lost is not None:
            setattr(client_of(connection), lost, True)
    assert subscription.is_unsubscribed is (lost is None)


async def test_a_failed_subscription_is_reported_as_unavailable() -> None:
    connection = await opened()
    client_of(connection).error = nats.errors.ConnectionClosedError()
    with pytest.raises(FailureError, match="NATS subscription failed") as caught:
        async with connection.subscription("a", ignore):
            pytest.fail("it was not subscribed")
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_a_flush_returns_whether_the_server_has_processed_everything() -> None:
    connection = await opened()
    assert await connection.flush()
    for error in (nats.errors.TimeoutError(), OSError("broken")):
        client_of(connection).error = error
        assert not await connection.flush()
    client_of(connection).error = nats.errors.ConnectionClosedError()
    with pytest.raises(FailureError, match="NATS flush failed") as caught:
        await connection.flush()
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE
