"""Requests over a real nats-server: calls, replies, errors and limits."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.msg import Msg

from pylon.rpc.calls import CallResult, ServiceCall
from pylon.rpc.request_server import SUBSCRIPTION_ERRORS, Handler, RequestServer
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.operations import OPERATIONS_BY_NAME, BlockParams, NoParams, Scope
from pylon_client.contract.topology import MAX_REQUEST_BYTES
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.served_operations import IDENTITIES, LATEST, Serve, failure, serving
from tests.support.product.deployment import ConnectAs
from tests.support.product.eventually import HANGS_AFTER_S, eventually

ALICES_JOBS = "pylon.v1.identity.alice.jobs.list"
ALICES = "pylon.v1.identity.alice.neurons.latest"
AT = "pylon.v1.open.1.neurons.at"
BLOCK = "pylon.v1.open.chain.block.latest"


async def raw(
    connection: NatsConnection, subject: str, body: bytes, headers: dict[str, str]
) -> Msg:
    """A request without what `Connection.request` adds to it."""
    return await connection.nats.request(subject, body, timeout=60, headers=headers)


async def test_a_call_has_its_identity_operation_and_parameters(
    serve: Serve, connect_as: ConnectAs
) -> None:
    calls: list[ServiceCall] = []

    async def handler(call: ServiceCall) -> bytes:
        calls.append(call)
        return b"{}"

    await serve(handler)
    alice, bridge = await connect_as("alice"), await connect_as("bridge")
    own = {wire_headers.REQUEST_ID: "my-request"}
    await alice.request(BLOCK, b"{}", timeout_s=40)
    await alice.request("pylon.v1.open.7.neurons.at", b'{"block_number":5}', own, 40)
    await bridge.request("pylon.v1.identity.Bob.neurons.latest", timeout_s=40)
    assert [
        (call.operation, call.scope, call.netuid, call.identity, call.params) for call in calls
    ] == [
        ("block.latest", Scope.OPEN, None, None, NoParams()),
        ("neurons.at", Scope.OPEN, 7, None, BlockParams(block_number=BlockNumber(5))),
        ("neurons.latest", Scope.IDENTITY, 2, "Bob", NoParams()),
    ]
    assert all(0 < call.timeout_s <= 40 for call in calls)
    assert calls[1].request_id == "my-request"
    assert calls[0].request_id != calls[2].request_id


async def test_a_reply_has_the_body_of_the_handler(serve: Serve, connect_as: ConnectAs) -> None:
    async def handler(_: ServiceCall) -> bytes:
        return b'{"a": 1 }'

    await serve(handler)
    reply = await (await connect_as(None)).request(LATEST)
    assert reply.body == b'{"a": 1 }'
    assert reply.headers[wire_headers.CONTRACT] == "v1"
    assert wire_headers.BLOCK_HASH not in reply.headers


async def test_a_reply_names_its_block(serve: Serve, connect_as: ConnectAs) -> None:
    block = Block(number=BlockNumber(7), hash=BlockHash("0x07"))

    async def handler(_: ServiceCall) -> CallResult:
        return CallResult(b"{}", block)

    await serve(handler)
    reply = await (await connect_as(None)).request(LATEST)
    assert reply.headers[wire_headers.BLOCK_NUMBER] == "7"
    assert reply.headers[wire_headers.BLOCK_HASH] == "0x07"


@pytest.mark.parametrize(
    ("subject", "body", "headers", "code"),
    [
        ("pylon.v1.open.1.weights.never", b"", {}, ErrorCode.NOT_FOUND),
        ("pylon.v1.open.chain.neurons.latest", b"", {}, ErrorCode.NOT_FOUND),
        ("pylon.v1.open.1.block.latest", b"", {}, ErrorCode.NOT_FOUND),
        ("pylon.v1.open.65536.neurons.latest", b"", {}, ErrorCode.INVALID),
        ("pylon.v1.open.-1.neurons.latest", b"", {}, ErrorCode.INVALID),
        ("pylon.v1.open.x", b"", {}, ErrorCode.INVALID),
        ("pylon.v1.identity.nobody.neurons.latest", b"", {}, ErrorCode.NOT_FOUND),
        ("pylon.v1.identity.alice.block.latest", b"", {}, ErrorCode.NOT_FOUND),
        (AT, b"", {}, ErrorCode.INVALID),
        (AT, b"no json", {}, ErrorCode.INVALID),
        (AT, b"\xff\xfe", {}, ErrorCode.INVALID),
        (AT, b"[" * 60_000, {}, ErrorCode.INVALID),
        (AT, b"[]", {}, ErrorCode.INVALID),
        (AT, b'{"block_number":-1}', {}, ErrorCode.INVALID),
        (AT, b'{"block_number":4294967296}', {}, ErrorCode.INVALID),
        (AT, b'{"block_number":"5"}', {}, ErrorCode.INVALID),
        (AT, b'{"block_number":5,"more":1}', {}, ErrorCode.INVALID),
        (LATEST, b'{"block_number":5}', {}, ErrorCode.INVALID),
        (LATEST, b" " * (MAX_REQUEST_BYTES + 1), {}, ErrorCode.INVALID),
        (LATEST, b"", {"Pylon-Contract": "v2"}, ErrorCode.INVALID),
        (LATEST, b"", {"Pylon-Contract": ""}, ErrorCode.INVALID),
        (LATEST, b"", {"Pylon-Deadline": "1"}, ErrorCode.DEADLINE_EXCEEDED),
        (LATEST, b"", {"Pylon-Deadline": "soon"}, ErrorCode.INVALID),
        (LATEST, b"", {"Pylon-Deadline": "9" * 5000}, ErrorCode.INVALID),
    ],
)
async def test_a_wrong_request_is_refused_and_never_started(
    serve: Serve,
    connect_as: ConnectAs,
    subject: str,
    body: bytes,
    headers: dict[str, str],
    code: ErrorCode,
) -> None:
    calls: list[ServiceCall] = []

    async def handler(call: ServiceCall) -> bytes:
        calls.append(call)
        return b""

    await serve(handler)
    reply = await raw(await connect_as("bridge"), subject, body, headers)
    assert reply.headers is not None
    assert reply.headers[wire_headers.ERROR] == code
    described: dict[str, Any] = json.loads(reply.data)
    assert described["code"] == code
    assert described["detail"]
    assert reply.headers[wire_headers.SERVICE_ERROR]
    assert int(reply.headers[wire_headers.SERVICE_ERROR_CODE]) in {400, 404, 504}
    assert calls == []


async def test_each_error_of_a_request_is_listed(serve: Serve, connect_as: ConnectAs) -> None:
    async def handler(_: ServiceCall) -> bytes:
        return b""

    await serve(handler)
    error = await failure(await connect_as(None), AT, b'{"block_number":"secret","more":1}')
    assert [(item.key, item.source) for item in error.failure.extra] == [
        ("block_number", "body"),
        ("more", "body"),
    ]
    assert "secret" not in error.failure.model_dump_json()


async def test_a_deadline_ends_the_work_and_not_only_the_wait(
    serve: Serve, connect_as: ConnectAs
) -> None:
    cancelled = asyncio.Event()

    async def handler(_: ServiceCall) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    service = await serve(handler)
    client = await connect_as("bridge")
    headers = {wire_headers.DEADLINE: wire_headers.encode_deadline(0.2)}
    reply = await raw(client, LATEST, b"", headers)
    assert reply.headers is not None
    assert reply.headers[wire_headers.ERROR] == ErrorCode.DEADLINE_EXCEEDED
    assert cancelled.is_set()
    await eventually(lambda: service.in_progress == 0)


async def test_a_caller_that_names_no_deadline_gets_the_default_one(
    connect_as: ConnectAs,
) -> None:
    timeouts: list[float] = []

    async def handler(call: ServiceCall) -> bytes:
        timeouts.append(call.timeout_s)
        return b""

    worker = await connect_as("worker")
    service = RequestServer(
        worker,
        {"neurons.latest": handler},
        identities=IDENTITIES,
        max_requests=1,
        default_timeout_s=12.5,
    )
    await service.start()
    client = await connect_as("bridge")
    await raw(client, LATEST, b"", {})
    await raw(client, LATEST, b"", {wire_headers.DEADLINE: wire_headers.encode_deadline(1e9)})
    assert timeouts == [12.5, 300]
    assert (await failure(client, BLOCK)).code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("raised", [ZeroDivisionError("secret"), TimeoutError("secret")])
async def test_an_unexpected_error_is_logged_and_not_sent(
    serve: Serve, connect_as: ConnectAs, caplog: pytest.LogCaptureFixture, raised: Exception
) -> None:
    async def handler(_: ServiceCall) -> bytes:
        raise raised

    await serve(handler)
    client = await connect_as(None)
    with caplog.at_level(logging.ERROR):
        error = await failure(client, LATEST, headers={wire_headers.REQUEST_ID: "find-me"})
    assert error.code is ErrorCode.INTERNAL
    assert "secret" not in error.failure.model_dump_json()
    assert "find-me" in error.failure.detail
    assert "find-me" in caplog.text
    assert "secret" in caplog.text


async def test_a_failure_of_the_handlers_arrives_whole(serve: Serve, connect_as: ConnectAs) -> None:
    sent = FailureError(
        ErrorCode.RATE_LIMITED, "line\r\nInjected: yes", retry_at_block=BlockNumber(9)
    )

    async def handler(_: ServiceCall) -> bytes:
        raise sent

    await serve(handler)
    assert (await failure(await connect_as(None), LATEST)).failure == sent.failure
    reply = await raw(await connect_as(None), LATEST, b"", {})
    assert reply.headers is not None
    assert "Injected" not in reply.headers


async def test_requests_beyond_the_limit_are_rejected_at_once(
    serve: Serve, connect_as: ConnectAs
) -> None:
    go = asyncio.Event()

    async def handler(_: ServiceCall) -> bytes:
        await go.wait()
        return b"done"

    service = await serve(handler)
    client = await connect_as(None)
    first = [asyncio.create_task(client.request(LATEST, timeout_s=600)) for _ in range(2)]
    await eventually(lambda: service.in_progress == 2)
    assert (await failure(client, LATEST, timeout_s=600)).code is ErrorCode.OVERLOADED
    assert service.counts.overloaded == 1
    alice = await connect_as("alice")
    own = asyncio.create_task(alice.request(ALICES, timeout_s=600))
    await eventually(lambda: service.in_progress == 3)
    go.set()
    assert (await own).body == b"done"
    assert [reply.body for reply in await asyncio.gather(*first)] == [b"done"] * 2
    assert (await client.request(LATEST)).body == b"done"


async def test_waiting_requests_release_their_permits(serve: Serve, connect_as: ConnectAs) -> None:
    go = asyncio.Event()

    async def handler(call: ServiceCall) -> bytes:
        if call.operation != "block.latest":
            with call.without_permit():
                await go.wait()
        return b"done"

    service = await serve(handler)
    client = await connect_as(None)
    waiting = [asyncio.create_task(client.request(LATEST, timeout_s=600)) for _ in range(50)]
    await eventually(lambda: service.waiting == 50)
    assert (await client.request(BLOCK)).body == b"done"
    go.set()
    assert {reply.body for reply in await asyncio.gather(*waiting)} == {b"done"}
    assert (service.waiting, service.counts.overloaded) == (0, 0)


async def test_an_answer_too_large_for_one_message_comes_in_parts(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, max_payload_bytes=20_000) as server:
        connection = await connect(ConnectionOptions(urls=(server.url,)))
        most = connection.max_payload_bytes
        body = b""

        async def handler(_: ServiceCall) -> CallResult:
            return CallResult(body, headers={"Said": "once"})

        service = await serving(connection, handler)
        for size in (0, most, most + 1, 2 * most, 10 * most + 1):
            body = bytes(number % 251 for number in range(size))
            reply = await connection.request(LATEST)
            assert reply.body == body
            assert reply.headers["Said"] == "once"
        many = await asyncio.gather(*(connection.request(LATEST) for _ in range(50)))
        assert {reply.body for reply in many} == {body}
        await service.drain(10)
        await connection.close()


async def test_a_client_without_parts_gets_an_error_instead_of_a_partial_reply(
    tmp_path: Path,
) -> None:
    async with NatsServer(tmp_path, max_payload_bytes=20_000) as server:
        connection = await connect(ConnectionOptions(urls=(server.url,)))

        async def handler(_: ServiceCall) -> bytes:
            return b"x" * 20_000

        service = await serving(connection, handler)
        reply = await connection.nats.request(LATEST, timeout=30)
        assert (reply.headers or {})["Pylon-Error"] == ErrorCode.INTERNAL
        assert b"max_payload" in reply.data
        await service.drain(10)
        await connection.close()


async def test_service_discovery_lists_every_worker_and_its_statistics(
    connect_as: ConnectAs,
) -> None:
    async def handler(call: ServiceCall) -> bytes:
        if call.scope is Scope.IDENTITY:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "no chain")
        return b""

    services = [await serving(await connect_as("worker"), handler) for _ in range(2)]
    bridge = await connect_as("bridge")
    for _ in range(3):
        await bridge.request(LATEST)
    await failure(bridge, "pylon.v1.identity.alice.neurons.latest")

    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(message: Msg) -> None:
        await received.put(json.loads(message.data))

    await bridge.subscribe("_INBOX.bridge.discovery", listen)

    async def ask(subject: str, answers: int) -> list[dict[str, Any]]:
        await bridge.nats.publish(subject, b"", reply="_INBOX.bridge.discovery")
        async with asyncio.timeout(HANGS_AFTER_S):
            return [await received.get() for _ in range(answers)]

    ids = {service.discovery.id for service in services}
    for subject in ("$SRV.PING", "$SRV.PING.pylon"):
        pings = await ask(subject, 2)
        assert {ping["id"] for ping in pings} == ids
        assert {ping["type"] for ping in pings} == {"io.nats.micro.v1.ping_response"}
    (info,) = await ask(f"$SRV.INFO.pylon.{services[0].discovery.id}", 1)
    assert info["type"] == "io.nats.micro.v1.info_response"
    assert {endpoint["subject"] for endpoint in info["endpoints"]} >= {
        "pylon.v1.open.*.neurons.latest",
        "pylon.v1.identity.*.neurons.latest",
        "pylon.v1.open.*.block.latest",
    }
    counted: dict[str, list[int]] = {}
    for stats in await ask("$SRV.STATS", 2):
        for endpoint in stats["endpoints"]:
            sums = counted.setdefault(endpoint["name"], [0, 0])
            sums[0] += endpoint["num_requests"]
            sums[1] += endpoint["num_errors"]
            assert (endpoint["processing_time"] > 0) == (endpoint["num_requests"] > 0)
    assert counted["open-neurons-latest"] == [3, 0]
    assert counted["identity-neurons-latest"] == [1, 1]
    for service in services:
        await service.drain(10)
    with pytest.raises(FailureError, match="No worker"):
        await bridge.request("$SRV.PING")


async def serve_nothing(connection: NatsConnection, handler: Handler) -> RequestServer:
    """Start a server of the subjects that are added to it."""
    handlers = dict.fromkeys(OPERATIONS_BY_NAME, handler)
    service = RequestServer(
        connection, handlers, identities=IDENTITIES, max_requests=1000, subjects=()
    )
    await service.start()
    return service


async def empty(_: ServiceCall) -> bytes:
    return b"{}"


async def test_every_request_is_answered_while_a_worker_gives_up_subjects(
    connect_as: ConnectAs,
) -> None:
    """The server has sent some of them to the worker when it hears of the change."""
    staying = await serving(await connect_as("worker"), empty)
    service = await serve_nothing(await connect_as("worker"), empty)
    alice = await connect_as("alice")
    for _ in range(20):
        remove = await service.add_subjects([ALICES_JOBS])
        await alice.flush()
        answers = [asyncio.create_task(alice.request(ALICES_JOBS, b"{}")) for _ in range(40)]
        await asyncio.sleep(0)  # all are sent
        await remove()
        done, waiting = await asyncio.wait(answers, timeout=HANGS_AFTER_S)
        assert (len(done), len(waiting)) == (len(answers), 0)
        assert [one.exception() for one in done] == [None] * len(done)
    await service.drain(0)
    await staying.drain(0)


async def test_subjects_that_were_given_up_do_not_return_with_the_connection(
    server: NatsServer, connect_as: ConnectAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would subscribe again to those whose drain the server did not confirm."""
    connection = await connect_as("worker")
    service = await serve_nothing(connection, empty)
    remove = await service.add_subjects([ALICES_JOBS])

    async def time_out() -> None:
        raise nats.errors.TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(connection.nats, "flush", time_out)
        with pytest.raises(SUBSCRIPTION_ERRORS):
            await remove()
    reconnected = asyncio.Event()
    connection.on_gap(reconnected.set)
    await server.restart()
    await asyncio.wait_for(reconnected.wait(), HANGS_AFTER_S)
    await connection.flush()
    with pytest.raises(nats.errors.NoRespondersError):
        await raw(await connect_as("alice"), ALICES_JOBS, b"{}", {})
    await service.drain(0)
