"""Calls over NATS, on connections without a server."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from pylon_client.config import AsyncConfig, PylonTimeout
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operation import Scope
from pylon_client.contract.reads import LATEST_BLOCK, LATEST_NEURONS
from pylon_client.contract.types import JobId, NetUid
from pylon_client.contract.writes import GENERATE_CERTIFICATE, GenerateCertificate
from pylon_client.errors import (
    BasePylonException,
    PylonClosed,
    PylonForbidden,
    PylonMisconfigured,
    PylonNotFound,
    PylonRequestException,
    PylonTimeoutException,
    PylonUnavailable,
    TimeoutReason,
)
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_reply import Reply
from pylon_client.transport import OperationCall, StreamSpec
from pylon_client.transports import nats_transport
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.secret_texts import secret_of

if TYPE_CHECKING:
    from collections.abc import Callable

IDENTITY = {"identity_name": "sn1", "identity_token": secret_of("sn1")}
OPEN = {"open_access_token": secret_of("open")}
BLOCK: OperationCall[BaseModel] = OperationCall(LATEST_BLOCK, Scope.OPEN)
OWN: OperationCall[BaseModel] = OperationCall(LATEST_NEURONS, Scope.IDENTITY)
JOB_ID = JobId("a" * 26)


class Servers:
    """Stands for `connect`: returns new connections, or raises a failure by the NATS user."""

    def __init__(self) -> None:
        self.reply: Callable[[str, bytes], Reply] = lambda _subject, _body: Reply(b"{}", {})
        self.failures: dict[str | None, FailureError] = {}
        self.hangs = False
        self.options: list[ConnectionOptions] = []
        self.connections: list[FakeConnection] = []

    async def connect(self, options: ConnectionOptions) -> FakeConnection:
        self.options.append(options)
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if options.user in self.failures:
            raise self.failures[options.user]
        self.connections.append(FakeConnection(self.reply))
        return self.connections[-1]

    def fail(self, code: ErrorCode, detail: str = "failed") -> None:
        """Fail every request from now on."""

        def reply(_subject: str, _body: bytes) -> Reply:
            raise FailureError(code, detail)

        self.reply = reply
        for connection in self.connections:
            connection.reply = reply

    @property
    def users(self) -> list[str | None]:
        return [options.user for options in self.options]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    servers = Servers()
    monkeypatch.setattr(nats_transport, "connect", servers.connect)
    return servers


async def opened(**fields: Any) -> nats_transport.NatsTransport:
    transport = nats_transport.NatsTransport(AsyncConfig(address="nats://a:4222", **fields))
    await transport.open()
    return transport


async def raised_by(
    transport: nats_transport.NatsTransport, call: OperationCall[BaseModel] = BLOCK
) -> BasePylonException:
    with pytest.raises(BasePylonException) as raised:
        await transport.ask(call)
    return raised.value


@pytest.mark.parametrize(
    ("fields", "call", "user"),
    [
        (OPEN, BLOCK, "open"),
        (OPEN | IDENTITY, BLOCK, "open"),
        (OPEN | IDENTITY, OWN, "sn1"),
        (IDENTITY, BLOCK, "sn1"),
        ({}, BLOCK, None),
    ],
)
async def test_the_scope_decides_the_nats_user(
    servers: Servers, fields: dict[str, str], call: OperationCall[BaseModel], user: str | None
) -> None:
    transport = await opened(**fields)
    await transport.ask(call)
    assert servers.users == [user]
    assert servers.options[0].password == ("" if user is None else secret_of(user))


async def test_concurrent_calls_share_one_connection_per_user(servers: Servers) -> None:
    transport = await opened(**OPEN, **IDENTITY)
    await asyncio.gather(*(transport.ask(call) for call in (BLOCK, OWN) * 5))
    assert sorted(filter(None, servers.users)) == ["open", "sn1"]


async def test_a_call_has_the_subject_of_its_scope_and_its_idempotency_key(
    servers: Servers,
) -> None:
    transport = await opened(**IDENTITY)
    neurons: OperationCall[BaseModel] = OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(7))
    write: OperationCall[BaseModel] = OperationCall(
        GENERATE_CERTIFICATE, Scope.IDENTITY, None, GenerateCertificate(), "key-1"
    )
    for call in (BLOCK, neurons, OWN, write):
        await transport.ask(call)
    requests = servers.connections[0].requests
    assert [subject for subject, _, _, _ in requests] == [
        "pylon.v1.open.chain.block.latest",
        "pylon.v1.open.7.neurons.latest",
        "pylon.v1.identity.sn1.neurons.latest",
        "pylon.v1.identity.sn1.certificate.generate",
    ]
    assert [sent.get(headers.IDEMPOTENCY_KEY) for _, _, sent, _ in requests] == [None] * 3 + [
        "key-1"
    ]


async def test_without_an_identity_nothing_is_sent(servers: Servers) -> None:
    transport = await opened(**OPEN)
    assert isinstance(await raised_by(transport, OWN), PylonMisconfigured)
    assert all(not connection.requests for connection in servers.connections)


@pytest.mark.parametrize(
    ("code", "connected", "expected", "retryable"),
    [
        (ErrorCode.NOT_FOUND, True, PylonNotFound, False),
        (ErrorCode.NATS_UNAVAILABLE, True, PylonUnavailable, True),
        (ErrorCode.NATS_UNAVAILABLE, False, PylonRequestException, True),
        (ErrorCode.FORBIDDEN, True, PylonForbidden, False),
        (ErrorCode.DEADLINE_EXCEEDED, True, PylonTimeoutException, True),
    ],
)
async def test_failures_become_the_exceptions_of_the_client(
    servers: Servers,
    code: ErrorCode,
    expected: type[BasePylonException],
    *,
    connected: bool,
    retryable: bool,
) -> None:
    transport = await opened()
    await transport.ask(BLOCK)
    servers.connections[0].is_connected = connected
    servers.fail(code)
    error = await raised_by(transport)
    assert type(error) is expected
    assert error.retryable is retryable
    if isinstance(error, PylonTimeoutException):
        assert error.reason is TimeoutReason.GATEWAY_TIMEOUT, "a worker ended it early"


async def test_a_request_without_a_reply_names_the_timeout(servers: Servers) -> None:
    transport = await opened(timeout=PylonTimeout(read=1e-9))
    servers.fail(ErrorCode.DEADLINE_EXCEEDED)
    error = await raised_by(transport)
    assert isinstance(error, PylonTimeoutException)
    assert (error.reason, error.timeout_seconds) == (TimeoutReason.READ, 1e-9)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.NATS_UNAVAILABLE, PylonRequestException),
        (ErrorCode.FORBIDDEN, PylonForbidden),
    ],
)
async def test_a_failed_connect_is_raised_and_repeated_by_the_next_call(
    servers: Servers, code: ErrorCode, expected: type[BasePylonException]
) -> None:
    servers.failures["sn1"] = FailureError(code, "refused")
    transport = await opened(**IDENTITY)
    assert type(await raised_by(transport)) is expected
    servers.failures.clear()
    await transport.ask(BLOCK)
    assert len(servers.options) == 2


async def test_a_connect_times_out(servers: Servers) -> None:
    servers.hangs = True
    transport = await opened(timeout=PylonTimeout(connect=0.001))
    error = await raised_by(transport)
    assert isinstance(error, PylonTimeoutException)
    assert error.reason is TimeoutReason.CONNECT
    assert "nats://a:4222" in str(error)


async def test_a_service_without_an_open_access_token_accepts_any_token(servers: Servers) -> None:
    servers.failures["open"] = FailureError(ErrorCode.FORBIDDEN, "rejected")
    transport = await opened(**OPEN)
    await transport.ask(BLOCK)
    assert servers.users == ["open", None]


async def test_a_rejected_open_access_token_is_raised(servers: Servers) -> None:
    for user in ("open", None):
        servers.failures[user] = FailureError(ErrorCode.FORBIDDEN, f"rejected {user}")
    error = await raised_by(await opened(**OPEN))
    assert isinstance(error, PylonForbidden)
    assert error.detail == "rejected open"


async def test_a_closed_connection_is_replaced(servers: Servers) -> None:
    transport = await opened()
    await transport.ask(BLOCK)
    servers.connections[0].closed.set()
    await transport.ask(BLOCK)
    assert len(servers.connections) == 2


async def test_closing_closes_all_connections_and_ends_calls(servers: Servers) -> None:
    transport = await opened(**OPEN, **IDENTITY)
    for call in (BLOCK, OWN):
        await transport.ask(call)
    await transport.close()
    assert [connection.closings for connection in servers.connections] == [1, 1]
    assert isinstance(await raised_by(transport), PylonClosed)


async def test_a_worker_confirms_by_any_reply(servers: Servers) -> None:
    transport = await opened()
    servers.fail(ErrorCode.CHAIN_UNAVAILABLE)
    await transport.confirm()
    servers.fail(ErrorCode.NATS_UNAVAILABLE)
    with pytest.raises(PylonUnavailable):
        await transport.confirm()


def with_events(servers: Servers, *, tracked: ErrorCode | None = None) -> None:
    """Reply to reads of the event log with nothing, and to others with an object or a failure."""

    def reply(subject: str, _body: bytes) -> Reply:
        if ".events." in subject:
            raise FailureError(ErrorCode.NOT_FOUND, "There is no such event.")
        if tracked is not None and subject.endswith("neurons.recent"):
            raise FailureError(tracked, "failed")
        return Reply(b"{}", {})

    servers.reply = reply


async def publish(connection: FakeConnection, number: int, subject: str, lost: int = 0) -> None:
    sent = {
        headers.BLOCK_NUMBER: str(number),
        headers.BLOCK_HASH: hash_of(number),
        headers.LOST_BLOCKS: str(lost),
    }
    await connection.deliver(subject, b"%d" % number, sent)


async def test_a_stream_yields_events_and_names_gaps(servers: Servers) -> None:
    with_events(servers, tracked=ErrorCode.NO_RECENT_SNAPSHOT)
    transport = await opened()
    stream: StreamSpec[BaseModel] = StreamSpec(LATEST_NEURONS, NetUid(7))
    async with transport.listen(stream, None) as items:
        (connection,) = servers.connections
        publishing = asyncio.create_task(publish(connection, 5, "pylon.v1.event.neurons.7"))
        first = await anext(items)
        await publishing
        publishing = asyncio.create_task(publish(connection, 6, "pylon.v1.event.neurons.7", lost=2))
        second = await anext(items)
        await publishing
    assert [(item.number, item.body, item.is_after_gap) for item in (first, second)] == [
        (5, b"5", False),
        (6, b"6", True),
    ]
    assert not connection.callbacks


async def test_a_subnet_that_is_not_tracked_has_no_stream(servers: Servers) -> None:
    with_events(servers, tracked=ErrorCode.NOT_FOUND)
    transport = await opened()
    with pytest.raises(PylonNotFound):
        async with transport.listen(StreamSpec(LATEST_NEURONS, NetUid(7)), None):
            pass
    assert not servers.connections[0].callbacks


@pytest.mark.parametrize(
    ("closes", "expected"), [(True, PylonClosed), (False, PylonRequestException)]
)
async def test_the_end_of_the_connection_ends_a_stream(
    servers: Servers, expected: type[BasePylonException], *, closes: bool
) -> None:
    with_events(servers)
    transport = await opened()
    async with transport.listen(StreamSpec(LATEST_BLOCK), None) as items:
        if closes:
            await transport.close()
        else:
            servers.connections[0].closed.set()
        async with asyncio.timeout(HANGS_AFTER_S):
            with pytest.raises(expected):
                await anext(items)


async def test_a_jobs_stream_reads_the_job_first_and_after_a_gap(servers: Servers) -> None:
    servers.reply = lambda _subject, _body: Reply(b"read", {})
    transport = await opened(**IDENTITY)
    async with transport.listen_to_job(JOB_ID) as bodies:
        (connection,) = servers.connections
        received = [await anext(bodies)]
        await connection.deliver(f"pylon.v1.event.job.sn1.{JOB_ID}", b"event")
        received.append(await anext(bodies))
        connection.report_gap()
        received.append(await anext(bodies))
    assert received == [b"read", b"event", b"read"]
    assert {subject for subject, _, _, _ in connection.requests} == {
        "pylon.v1.identity.sn1.jobs.get"
    }
    assert not connection.callbacks
