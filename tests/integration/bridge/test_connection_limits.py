"""How long a caller may take for what: heads, bodies of others' requests, and responses."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import uvloop

from bridge.limited_http_protocol import (
    HEADER_TIMEOUT_S,
    LimitedHttpProtocol,
    limited_http_protocol,
)
from bridge.open_connections import CloseReason, ConnectionStage, ConnectionTracker
from tests.support.product.eventually import HANGS_AFTER_S, eventually

SHORT_S = 0.2
HEAD = b"GET / HTTP/1.1\r\nHost: bridge\r\n"


class App:
    """Answers every request when it may, with as much as a test says."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.requests = 0
        self.body = b"ok"

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.requests += 1
        await self.may_answer.wait()
        length = str(len(self.body)).encode()
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": self.body})


class Caller:
    """A connection of which a test writes every byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ok(self) -> None:
        async with asyncio.timeout(HANGS_AFTER_S):
            assert (await self.reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")

    async def rest(self) -> bytes:
        """Return the received bytes until the server closes the connection."""
        async with asyncio.timeout(HANGS_AFTER_S):
            try:
                return await self.reader.read(-1)
            except ConnectionResetError:
                return b""


class Server:
    """A server on a port of the system's choosing."""

    def __init__(self, app: App, connections: ConnectionTracker, port: int) -> None:
        self.app = app
        self.connections = connections
        self.port = port
        self.callers: list[Caller] = []

    async def connect(self) -> Caller:
        caller = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        self.callers.append(caller)
        return caller


@asynccontextmanager
async def serving(limit: int = 100, **limits: float) -> AsyncGenerator[Server]:
    app, connections = App(), ConnectionTracker(limit)
    config = uvicorn.Config(
        app,
        port=0,
        http=limited_http_protocol(connections, **limits),
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    held = Server(app, connections, port)
    try:
        yield held
    finally:
        for caller in held.callers:
            caller.writer.close()
        server.should_exit = True
        await task


def on_uvloop(test: Callable[[], Any]) -> None:
    """Run a test on the loop that the bridge has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


def test_a_head_may_take_30_seconds() -> None:
    assert LimitedHttpProtocol.header_timeout_s == HEADER_TIMEOUT_S == 30.0


async def trickled() -> None:
    async with serving(header_timeout_s=SHORT_S) as server:
        caller = await server.connect()
        await caller.send(HEAD)
        silent = await server.connect()
        await silent.send(HEAD)
        with contextlib.suppress(ConnectionError):
            while (
                not server.connections.closed_by_reason
            ):  # each byte in time does not make it longer
                await caller.send(b"X")
                await asyncio.sleep(SHORT_S / 10)
        assert (await silent.rest()).startswith(b"HTTP/1.1 408 ")
        await eventually(lambda: server.connections.closed_by_reason[CloseReason.HEAD_TIMEOUT] == 2)
        await eventually(lambda: not sum(server.connections.counts_by_stage.values()))


async def test_a_head_that_does_not_end_is_closed() -> None:
    await trickled()


def test_a_head_that_does_not_end_is_closed_on_the_bridges_loop() -> None:
    on_uvloop(trickled)


async def test_a_second_head_is_bounded_as_the_first() -> None:
    async with serving(header_timeout_s=SHORT_S) as server:
        for begin in (b"GET", b"\r\n"):
            caller = await server.connect()
            await caller.send(HEAD + b"\r\n")
            await caller.ok()
            assert server.connections.counts_by_stage[ConnectionStage.IDLE] == 1
            await caller.send(begin)
            assert (await caller.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_connection_that_sends_nothing_is_closed() -> None:
    async with serving(header_timeout_s=SHORT_S) as server:
        assert (await (await server.connect()).rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_request_and_an_idle_connection_may_take_longer() -> None:
    async with serving(header_timeout_s=SHORT_S) as server:
        server.app.may_answer.clear()
        caller = await server.connect()
        await caller.send(HEAD + b"\r\n")
        await eventually(lambda: server.app.requests)
        await asyncio.sleep(3 * SHORT_S)
        server.app.may_answer.set()
        await caller.ok()
        await asyncio.sleep(3 * SHORT_S)
        await caller.send(HEAD + b"\r\n")
        await caller.ok()
        assert not server.connections.closed_by_reason


async def test_requests_sent_one_after_the_other_without_waiting_are_all_answered() -> None:
    async with serving(header_timeout_s=SHORT_S) as server:
        caller = await server.connect()
        await caller.send(3 * (HEAD + b"\r\n"))
        for _ in range(3):
            await caller.ok()
        assert server.connections.counts_by_stage[ConnectionStage.IDLE] == 1


async def test_a_caller_that_reads_nothing_is_disconnected() -> None:
    async with serving(write_timeout_s=SHORT_S) as server:
        server.app.body = bytes(64 * 2**20)
        caller = await server.connect()
        await caller.send(HEAD + b"\r\n")
        await eventually(lambda: server.connections.closed_by_reason[CloseReason.STALLED])
        await eventually(lambda: not sum(server.connections.counts_by_stage.values()))


async def bounded() -> None:
    async with serving(limit=10) as server:
        server.app.may_answer.clear()
        honest = await server.connect()
        await honest.send(HEAD + b"\r\n")
        await eventually(lambda: server.app.requests == 1)
        half_sent = [await server.connect() for _ in range(50)]
        for caller in half_sent:
            await caller.send(HEAD)
        await eventually(lambda: server.connections.closed_by_reason[CloseReason.MADE_ROOM] == 41)
        for caller in half_sent[:41]:
            assert not await caller.rest()
        others = [await server.connect() for _ in range(9)]
        for count, caller in enumerate(others, 2):
            await caller.send(HEAD + b"\r\n")
            await eventually(lambda count=count: server.app.requests == count)
        refused = await server.connect()
        assert (await refused.rest()).startswith(b"HTTP/1.1 503 ")
        assert server.connections.closed_by_reason[CloseReason.LIMIT] == 1
        server.app.may_answer.set()
        for caller in (honest, *others):
            await caller.ok()


async def test_above_the_limit_incomplete_requests_are_evicted_first() -> None:
    await bounded()


def test_the_limit_holds_on_the_bridges_loop() -> None:
    on_uvloop(bounded)
