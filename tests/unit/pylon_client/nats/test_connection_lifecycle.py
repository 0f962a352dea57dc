"""Connect, reconnect, errors and close of a connection, with a client that the tests control."""

import asyncio
import logging
from typing import Any, cast

import nats.errors
import pytest

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats import connection_lifecycle
from pylon_client.nats.connection_lifecycle import ConnectionLifecycle
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_errors import PermissionViolation
from pylon_client.nats.server_pool import RECONNECT_MAX_DELAY_S
from tests.support.nats.fake_nats_client import FakeNatsClient, client_of
from tests.support.product.eventually import HANGS_AFTER_S

PASSWORD = "a-password"
OPTIONS = ConnectionOptions(("nats://a:4222",), user="sn1", password=PASSWORD)
REJECTED = nats.errors.Error("nats: 'Authorization Violation'")

pytestmark = pytest.mark.usefixtures("fake_nats")


async def opened(options: ConnectionOptions = OPTIONS) -> ConnectionLifecycle:
    connection = ConnectionLifecycle(options)
    await connection.open()
    return connection


async def report(connection: ConnectionLifecycle, error: Exception) -> None:
    await client_of(connection).callbacks["error_cb"](error)


def denied(kind: str, subject: str) -> nats.errors.Error:
    return nats.errors.Error(f"nats: 'Permissions Violation for {kind} to \"{subject}\"'")


async def pending(connection: ConnectionLifecycle, subject: str) -> "asyncio.Task[ErrorCode]":
    """Start a request that waits for its reply, and returns the code of its failure."""

    async def wait() -> ErrorCode:
        try:
            async with connection._pending.wait(subject, HANGS_AFTER_S):
                await asyncio.Event().wait()
        except FailureError as error:
            return error.code
        raise AssertionError("it waits until it is failed")

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


async def test_the_first_connect_uses_the_options_and_later_ones_have_no_limit() -> None:
    connection = await opened()
    options: dict[str, Any] = client_of(connection).options
    assert (options["user"], options["password"]) == ("sn1", PASSWORD)
    assert options["urls"] == ["nats://a:4222"]
    assert options["inbox_prefix"] == "_INBOX.sn1"
    assert (options["allow_reconnect"], options["max_reconnect_attempts"]) == (True, -1)
    assert options["reconnect_time_wait"] == RECONNECT_MAX_DELAY_S
    assert connection.is_connected


async def test_without_a_user_no_credentials_are_sent() -> None:
    connection = await opened(ConnectionOptions(("nats://a:4222",), inbox_user="bridge"))
    options: dict[str, Any] = client_of(connection).options
    assert connection.user == "open"
    assert options["inbox_prefix"] == "_INBOX.bridge"
    assert not {"user", "password"} & options.keys()


async def test_a_failed_first_connect_closes_and_names_each_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = ConnectionLifecycle(OPTIONS)

    async def fail(_url: str) -> None:
        await report(connection, OSError(113, "No route to host"))
        raise nats.errors.NoServersError

    monkeypatch.setattr(FakeNatsClient, "on_connect", staticmethod(fail))
    with pytest.raises(FailureError, match="No route to host") as caught:
        await connection.open()
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE
    assert connection.closed.is_set()
    assert client_of(connection).is_closed


async def test_a_silent_server_ends_the_first_connect_after_its_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(_url: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeNatsClient, "on_connect", staticmethod(hang))
    connection = ConnectionLifecycle(ConnectionOptions(("nats://a:4222",), connect_timeout_s=0))
    with pytest.raises(FailureError, match="no reply in time"):
        await connection.open()
    assert connection.closed.is_set()


async def test_a_lost_connection_fails_pending_requests_and_reports_a_gap_when_restored() -> None:
    connection = await opened()
    gaps: list[str] = []
    connection.on_gap(lambda: gaps.append("listener"))
    remove = connection.on_gap(lambda: gaps.append("removed"))
    remove()
    request = await pending(connection, "a")
    callbacks = client_of(connection).callbacks
    await callbacks["disconnected_cb"]()
    assert await request is ErrorCode.NATS_UNAVAILABLE
    assert not connection.is_connected
    assert gaps == []
    await callbacks["reconnected_cb"]()
    assert connection.is_connected
    assert gaps == ["listener"]
    assert (connection.counts.disconnects, connection.counts.reconnects) == (1, 1)


async def test_a_request_waits_for_a_reconnect() -> None:
    connection = await opened()
    callbacks = client_of(connection).callbacks
    await callbacks["disconnected_cb"]()
    waiting = asyncio.create_task(connection._await_connected())
    await asyncio.sleep(0)
    await callbacks["reconnected_cb"]()
    await asyncio.wait_for(waiting, HANGS_AFTER_S)


async def test_without_a_reconnect_a_request_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_lifecycle, "RECONNECT_GRACE_S", 0.0)
    connection = await opened()
    await client_of(connection).callbacks["disconnected_cb"]()
    with pytest.raises(FailureError, match="no connection") as caught:
        await connection._await_connected()
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_dropped_messages_are_counted_and_reported_as_a_gap() -> None:
    connection = await opened()
    gaps: list[None] = []
    connection.on_gap(lambda: gaps.append(None))
    error = nats.errors.SlowConsumerError("a", "_INBOX.b", 1, cast("Any", None))
    await report(connection, error)
    assert connection.counts.slow_consumer_drops == len(gaps) == 1


async def test_a_denied_publish_fails_the_requests_on_its_subject_only() -> None:
    connection = await opened()
    violations: list[tuple[PermissionViolation, ErrorCode]] = []
    connection.on_permission_violation(
        lambda violation, failure: violations.append((violation, failure.code))
    )
    remove = connection.on_permission_violation(lambda *_: pytest.fail("it was removed"))
    remove()
    concerned, other = await pending(connection, "A.b"), await pending(connection, "a.c")
    await report(connection, denied("Publish", "A.b"))
    assert await concerned is ErrorCode.FORBIDDEN
    assert not other.done()
    assert violations == [(PermissionViolation("a.b", is_subscription=False), ErrorCode.FORBIDDEN)]
    assert connection.counts.permission_violations == 1
    assert client_of(connection).renewed_inboxes == []
    await connection.close()
    assert await other is ErrorCode.NATS_UNAVAILABLE


async def test_a_denied_inbox_fails_all_requests_and_is_renewed() -> None:
    connection = await opened()
    requests = [await pending(connection, "a"), await pending(connection, "b")]
    await report(connection, denied("Subscription", "_INBOX.sn1.x.*"))
    assert await asyncio.gather(*requests) == [ErrorCode.FORBIDDEN] * 2
    assert client_of(connection).renewed_inboxes == ["_inbox.sn1.x.*"]


async def test_rejected_credentials_close_an_open_connection_for_good(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = await opened()
    request = await pending(connection, "a")
    for _ in range(2):
        await report(connection, REJECTED)
    await asyncio.wait_for(connection.closed.wait(), HANGS_AFTER_S)
    assert await request is ErrorCode.FORBIDDEN
    with pytest.raises(FailureError) as caught:
        await connection._await_connected()
    assert caught.value.code is ErrorCode.FORBIDDEN
    assert client_of(connection).calls == ["close"]
    assert PASSWORD not in caplog.text


async def test_an_error_of_a_callback_is_logged_once_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = await opened()

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        await fail()
    for _ in range(3):
        await report(connection, raised.value)
    assert caplog.text.count("NATS message callback failed") == 1
    assert "raise ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (nats.errors.Error("nats: 'stale connection'"), 1),
        (OSError(104, "Connection reset by peer"), 0),
        (nats.errors.UnexpectedEOF(), 0),
    ],
)
async def test_only_errors_beside_a_lost_connection_are_logged(
    caplog: pytest.LogCaptureFixture, error: Exception, logged: int
) -> None:
    connection = await opened()
    with caplog.at_level(logging.WARNING):
        await report(connection, error)
    assert len(caplog.records) == logged


async def test_closing_twice_is_harmless_and_counts_no_disconnect() -> None:
    connection = await opened()
    await connection.close()
    await client_of(connection).callbacks["disconnected_cb"]()
    await client_of(connection).callbacks["closed_cb"]()
    await connection.close()
    assert connection.closed.is_set()
    assert connection.counts.disconnects == 0


async def test_a_close_that_fails_ends_the_connection_nevertheless() -> None:
    connection = await opened()
    client_of(connection).error = nats.errors.ConnectionClosedError()
    await connection.drain()
    assert connection.closed.is_set()


async def test_only_an_established_connection_is_drained() -> None:
    connection = await opened()
    await connection.drain()
    assert client_of(connection).calls == ["drain", "close"]
    lost = await opened()
    await client_of(lost).callbacks["disconnected_cb"]()
    await lost.drain()
    assert client_of(lost).calls == ["close"]
