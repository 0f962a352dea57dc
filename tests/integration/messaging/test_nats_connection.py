import asyncio
import gc
import logging
import socket
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from pylon.nats_server.permissions import authorization_config
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import (
    WORKER_PASSWORD,
    ConnectAs,
    deployment_settings,
    token_of,
)
from tests.support.product.eventually import HANGS_AFTER_S, eventually

SECRET = "never-shown-anywhere"


def options(*urls: str, **fields: object) -> ConnectionOptions:
    return ConnectionOptions(urls=urls, **fields)  # pyright: ignore[reportArgumentType] -- a test's shorthand


async def refusal(*urls: str, **fields: object) -> FailureError:
    with pytest.raises(FailureError) as caught:
        await connect(options(*urls, **fields))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


async def failure(connection: NatsConnection, subject: str, timeout_s: float = 30) -> FailureError:
    with pytest.raises(FailureError) as caught:
        await connection.request(subject, timeout_s=timeout_s)
    return caught.value


async def answer(connection: NatsConnection, subject: str, body: bytes, **headers: str) -> None:
    async def reply(message: Msg) -> None:
        await connection.nats.publish(message.reply, body, headers=headers)

    await connection.subscribe(subject, reply)
    await connection.nats.flush()


async def leave_unanswered(connection: NatsConnection, subject: str) -> asyncio.Event:
    """Take the requests on a subject and never answer; set once one has come."""
    received = asyncio.Event()

    async def receive(_: Msg) -> None:
        received.set()

    await connection.subscribe(subject, receive)
    await connection.nats.flush()
    return received


async def test_the_first_connect_fails_at_once_without_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    error = await refusal(f"nats://127.0.0.1:{port}", connect_timeout_s=60)
    assert error.code is ErrorCode.NATS_UNAVAILABLE
    assert f"127.0.0.1:{port}" in str(error)


async def test_the_first_connect_fails_in_time_with_a_silent_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = await refusal(f"nats://127.0.0.1:{port}", connect_timeout_s=0.2)
    assert error.code is ErrorCode.NATS_UNAVAILABLE


async def test_every_server_is_tried(server: NatsServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        for urls in ((silent_url, server.url), (server.url, silent_url)):
            connection = await connect(options(*urls, connect_timeout_s=6))
            await connection.close()


async def test_rejected_and_missing_credentials_have_different_errors(tmp_path: Path) -> None:
    settings = deployment_settings(identities={"alice": 1}, open_access_token="o" * 20)
    async with NatsServer(tmp_path, authorization_config(settings)) as server:
        wrong = await refusal(server.url, user="alice", password=SECRET)
        assert wrong.code is ErrorCode.FORBIDDEN
        assert "'alice'" in str(wrong)
        assert (await refusal(server.url, user="nobody", password=SECRET)).code is wrong.code
        assert (await refusal(server.url)).code is ErrorCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "url",
    [
        *(f"nats://alice:{SECRET}@127.0.0.1:4222", f"http://127.0.0.1/{SECRET}", SECRET, ""),
        *("nats://127.0.0.1:abc", "nats://127.0.0.1:99999", "nats://[::1"),
    ],
)
async def test_an_invalid_url_or_one_with_credentials_is_rejected_without_being_shown(
    url: str,
) -> None:
    assert (await refusal(url)).code is ErrorCode.INVALID


async def test_no_url_at_all_is_refused() -> None:
    assert (await refusal()).code is ErrorCode.INVALID


def test_the_password_is_not_in_the_representation_of_options() -> None:
    assert SECRET not in repr(options("nats://x:1", user="alice", password=SECRET))


async def test_a_request_carries_deadline_and_contract_and_its_own_headers(
    connect_as: ConnectAs,
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    seen: list[dict[str, str]] = []

    async def echo(message: Msg) -> None:
        seen.append(dict(message.headers or {}))
        await worker.nats.publish(message.reply, message.data, headers={"X": "y"})

    await worker.subscribe("pylon.v1.open.>", echo)
    await worker.nats.flush()
    reply = await alice.request("pylon.v1.open.1.x", b"body", {"Own": "header"}, timeout_s=20)
    assert reply.body == b"body"
    assert reply.headers["X"] == "y"
    assert seen[0]["Own"] == "header"
    assert seen[0][wire_headers.CONTRACT] == "v1"
    assert 0 < wire_headers.seconds_left(seen[0][wire_headers.DEADLINE]) <= 20


async def test_a_failure_reply_is_raised_as_it_was_sent(connect_as: ConnectAs) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    sent = FailureError(ErrorCode.RATE_LIMITED, "too soon", retry_at_block=77)  # pyright: ignore[reportArgumentType] -- a plain number will do
    body = json_codec.encode(sent.failure.body())
    await answer(worker, "pylon.v1.open.1.x", body, **{wire_headers.ERROR: "RATE_LIMITED"})
    assert (await failure(alice, "pylon.v1.open.1.x")).failure == sent.failure


async def test_a_failure_that_cannot_be_read_is_still_a_failure(connect_as: ConnectAs) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    headers = {wire_headers.ERROR: "FROM_THE_FUTURE", wire_headers.SERVICE_ERROR: "the text"}
    await answer(worker, "pylon.v1.open.1.x", b'{"code":"FROM_THE_FUTURE"}', **headers)
    error = await failure(alice, "pylon.v1.open.1.x")
    assert (error.code, error.failure.detail) == (ErrorCode.INTERNAL, "the text")


@pytest.mark.parametrize(("status_header", "status"), [("429", 429), (None, 500)])
async def test_an_unknown_error_code_is_raised_with_its_text(
    connect_as: ConnectAs, status_header: str | None, status: int
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    body = {"code": "NEW", "detail": "all of it", "retryable": True, "retry_at_block": 77}
    headers = {wire_headers.ERROR: "NEW", wire_headers.SERVICE_ERROR: "all"}
    if status_header is not None:
        headers[wire_headers.SERVICE_ERROR_CODE] = status_header
    await answer(worker, "pylon.v1.open.1.x", json_codec.encode({**body, "newer": [1]}), **headers)
    error = await failure(alice, "pylon.v1.open.1.x")
    assert error.code is ErrorCode.INTERNAL
    assert error.failure.body() == body
    assert error.failure.http_status == status


async def test_without_a_worker_the_answer_is_503_at_once(connect_as: ConnectAs) -> None:
    error = await failure(await connect_as("alice"), "pylon.v1.open.1.x", timeout_s=60)
    assert error.code is ErrorCode.NATS_UNAVAILABLE
    assert "No worker" in str(error)


async def test_without_an_answer_in_time_the_deadline_is_exceeded(connect_as: ConnectAs) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    await leave_unanswered(worker, "pylon.v1.open.>")
    assert (await failure(alice, "pylon.v1.open.1.x", 0.1)).code is ErrorCode.DEADLINE_EXCEEDED
    assert (await failure(alice, "pylon.v1.open.1.x", 0)).code is ErrorCode.DEADLINE_EXCEEDED


async def test_a_refused_subject_is_forbidden_at_once_and_spares_other_requests(
    connect_as: ConnectAs,
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    received = await leave_unanswered(worker, "pylon.v1.open.>")
    pending = asyncio.create_task(failure(alice, "pylon.v1.open.1.x", timeout_s=600))
    await received.wait()
    error = await failure(alice, "pylon.v1.identity.Bob.neurons.latest", timeout_s=600)
    assert error.code is ErrorCode.FORBIDDEN
    assert alice.counts.permission_violations == 1
    assert not pending.done()
    await alice.close()
    assert (await pending).code is ErrorCode.NATS_UNAVAILABLE


async def test_a_foreign_inbox_prefix_is_forbidden_rather_than_silent(server: NatsServer) -> None:
    # A wrong user in the settings of a server that takes everybody as `open`.
    settings = deployment_settings()
    text = authorization_config(settings).replace("_INBOX.open.>", "_INBOX.elsewhere.>")
    folder = server.folder / "other"
    async with NatsServer(folder, text) as other:
        connection = await connect(options(other.url))
        worker = await connect(options(other.url, user="worker", password=WORKER_PASSWORD))
        await leave_unanswered(worker, "pylon.v1.open.>")
        error = await failure(connection, "pylon.v1.open.1.x", timeout_s=600)
        assert error.code is ErrorCode.FORBIDDEN
        await connection.close()
        await worker.close()


async def test_a_request_too_large_for_nats_is_invalid_and_leaves_the_connection(
    tmp_path: Path,
) -> None:
    async with NatsServer(tmp_path, max_payload_bytes=10_000) as server:
        connection = await connect(options(server.url))
        await answer(connection, "x", b"fine")
        for size in (connection.max_payload_bytes + 1, 20_000):
            with pytest.raises(FailureError, match="INVALID"):
                await connection.request("x", b"x" * size, timeout_s=30)
        largest = b"x" * connection.max_payload_bytes
        assert (await connection.request("x", largest, timeout_s=30)).body == b"fine"
        await connection.close()


async def test_when_the_server_dies_waiting_requests_fail_and_later_ones_too(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    received = await leave_unanswered(worker, "pylon.v1.open.1.>")
    pending = asyncio.create_task(failure(alice, "pylon.v1.open.1.x", timeout_s=600))
    await received.wait()
    await server.kill()
    assert (await pending).code is ErrorCode.NATS_UNAVAILABLE
    assert (await failure(alice, "pylon.v1.open.1.x", 600)).code is ErrorCode.NATS_UNAVAILABLE
    assert not alice.is_connected
    assert alice.nats.pending_data_size == 0


async def test_after_an_outage_the_connection_recovers(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    await answer(worker, "pylon.v1.open.1.x", b"here")
    gaps: list[int] = []
    alice.on_gap(lambda: gaps.append(1))
    forget = alice.on_gap(lambda: gaps.append(100))
    forget()
    for _ in range(3):
        reconnects = alice.counts.reconnects, worker.counts.reconnects
        await server.restart()
        await eventually(lambda: alice.counts.reconnects > reconnects[0])  # noqa: B023 -- awaited here
        await eventually(lambda: worker.counts.reconnects > reconnects[1])  # noqa: B023 -- the same
        assert (await alice.request("pylon.v1.open.1.x", timeout_s=60)).body == b"here"
    assert alice.counts.disconnects == alice.counts.reconnects == sum(gaps) == 3
    assert not alice.closed.is_set()


async def test_a_request_is_retried_during_a_short_outage(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    await answer(worker, "pylon.v1.open.1.x", b"here")
    for connection in (worker, alice):
        await connection.nats.force_reconnect()
    assert not alice.nats.is_connected
    await eventually(lambda: worker.is_connected)
    assert (await alice.request("pylon.v1.open.1.x", timeout_s=60)).body == b"here"


async def test_a_removed_user_ends_its_connection_for_good(
    server: NatsServer, connect_as: ConnectAs, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = await connect_as("alice"), await connect_as("Bob")
    server.reload(authorization_config(deployment_settings(identities={"Bob": 2})))
    async with asyncio.timeout(HANGS_AFTER_S):
        await alice.closed.wait()
    assert (await failure(alice, "pylon.v1.open.1.x")).code is ErrorCode.FORBIDDEN
    assert (bob.counts.disconnects, bob.is_connected) == (0, True)
    assert token_of("alice") not in caplog.text


async def test_failed_attempts_to_reconnect_leave_no_open_socket(tmp_path: Path) -> None:
    """Something else listens on the port of a server that has gone.

    Python warns about a socket that is left open, which fails the test.
    """
    ended: list[asyncio.StreamReader] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 100, "headers": true}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"-ERR 'refused'\r\n")
        await reader.read()
        writer.close()
        ended.append(reader)

    async with NatsServer(tmp_path) as server:
        connection = await connect(options(server.url))
        await server.kill()
        async with await asyncio.start_server(refuse, "127.0.0.1", server.port):
            await eventually(lambda: len(ended) > 2)
            await connection.close()
    gc.collect()


async def test_closing_is_observable_and_idempotent(connect_as: ConnectAs) -> None:
    for how in (NatsConnection.close, NatsConnection.drain):
        alice = await connect_as("alice")
        await how(alice)
        await how(alice)
        assert alice.closed.is_set()
        assert alice.counts.disconnects == 0
        assert (await failure(alice, "x")).code is ErrorCode.NATS_UNAVAILABLE


async def test_closing_during_an_outage_ends_in_time(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    alice = await connect_as("alice")
    await server.kill()
    await eventually(lambda: not alice.is_connected)
    await alice.nats.publish("pylon.v1.open.1.x", b"unsent")
    async with asyncio.timeout(HANGS_AFTER_S):
        await alice.drain()
    assert alice.closed.is_set()


async def test_messages_dropped_by_a_slow_callback_are_counted_and_reported(
    connect_as: ConnectAs,
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    gaps: list[None] = []
    alice.on_gap(lambda: gaps.append(None))
    release, received = asyncio.Event(), list[bytes]()

    async def receive(message: Msg) -> None:
        received.append(message.data)
        await release.wait()

    await alice.subscribe("pylon.v1.event.block", receive, max_pending_msgs=2)
    await alice.nats.flush()
    for number in range(10):
        await worker.nats.publish("pylon.v1.event.block", str(number).encode())
    await worker.nats.flush()
    await eventually(lambda: alice.counts.slow_consumer_drops + len(received) >= 8)
    assert len(gaps) == alice.counts.slow_consumer_drops > 0
    release.set()


async def test_a_callback_that_fails_is_logged_once_and_called_again(
    connect_as: ConnectAs, caplog: pytest.LogCaptureFixture
) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    calls: list[bytes] = []

    async def broken(message: Msg) -> None:
        calls.append(message.data)
        raise ZeroDivisionError

    await alice.subscribe("pylon.v1.event.block", broken)
    await alice.nats.flush()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await worker.nats.publish("pylon.v1.event.block", b"")
        # At the third call, all that is logged of the second has been logged.
        await eventually(lambda: len(calls) == 3)
    assert caplog.text.count("raise ZeroDivisionError") == 1


async def test_after_a_flush_the_server_has_every_subscription(connect_as: ConnectAs) -> None:
    worker, alice = await connect_as("worker"), await connect_as("alice")
    for number in range(300):
        await answer(worker, f"pylon.v1.open.{number}.x", b"")
        await alice.request(f"pylon.v1.open.{number}.x", timeout_s=60)
