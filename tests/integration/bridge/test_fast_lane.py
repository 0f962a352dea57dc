"""Responses of the fast lane equal those of the framework, byte by byte on the wire."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import uvicorn
import uvloop

from bridge.draining import DrainState
from bridge.fast_lane.fast_lane import FastLane
from bridge.http_metrics import BridgeMetrics
from bridge.limited_http_protocol import limited_http_protocol
from bridge.main import create_app
from bridge.memory.memory_reads import MemoryReads, MemoryReply
from bridge.open_connections import ConnectionTracker
from bridge.routes import operation_routes
from bridge.settings import BridgeSettings
from pylon_client.contract import headers
from pylon_client.contract.models import Block
from pylon_client.contract.reads import (
    LATEST_BLOCK,
    LATEST_NEURONS,
    LATEST_VALIDATORS,
    RECENT_NEURONS,
)
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid
from tests.support.nats.scripted_nats import (
    ENVIRONMENT,
    OPEN_TOKEN,
    SN1_TOKEN,
    SN2_TOKEN,
    Asked,
    ScriptedNats,
)
from tests.support.product.eventually import HANGS_AFTER_S, eventually

OPERATIONS = (LATEST_BLOCK, LATEST_NEURONS, LATEST_VALIDATORS, RECENT_NEURONS)
HASH = f"0x{7:064x}"
BLOCK = Block(number=BlockNumber(7), hash=BlockHash(HASH))
LARGE = b'{"neurons":"%s"}' % (b"abc" * 40_000)
SMALL = b'{"number":7}'
NEURONS = "/api/v1/subnet/1/block/latest/neurons"
VALIDATORS = "/api/v1/subnet/1/block/latest/validators"
RECENT = "/api/v1/subnet/1/block/recent/neurons"
LATEST = "/api/v1/block/latest"
OWN = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
UNSTABLE = "/api/_unstable/openaccess/subnet/1/block/latest/neurons"
OPEN = f"Authorization: Bearer {OPEN_TOKEN}"
SN1 = f"Authorization: Bearer {SN1_TOKEN}"
SN2 = f"Authorization: Bearer {SN2_TOKEN}"
ROOT_PATH = "/gateways/pylon"
GENERATED_ID = re.compile(rb"x-request-id: [0-9a-f]{32}\r\n")
DATE = re.compile(rb"date: [^\r]*\r\n")


class Memory(MemoryReads):
    """Holds the replies of one subnet while it is fresh."""

    def __init__(self) -> None:
        super().__init__(
            block_duration_s=12, recent_limit_blocks=64, is_connected=lambda: self.holds_fresh
        )
        self.holds_fresh = True
        self.subnet = MemoryReply(BLOCK, LARGE)
        self.chain = MemoryReply(BLOCK, SMALL)

    def latest(self, operation: str, netuid: NetUid | None) -> MemoryReply | None:
        if not self.holds_fresh or netuid not in (None, 1):
            return None
        if netuid is None:
            return self.chain if operation == LATEST_BLOCK.name else None
        return self.subnet


class CountingLane(FastLane):
    """Counts the requests to which the fast lane has responded."""

    responses = 0

    def respond(self, *request: Any) -> tuple[bytes, bytes] | None:
        response = super().respond(*request)
        self.responses += response is not None
        return response


class TwoServers:
    """One app behind two servers, only the first of which has the fast lane."""

    def __init__(
        self, ports: Sequence[int], lane: CountingLane, memory: Memory, draining: DrainState
    ) -> None:
        self.ports = ports
        self.lane = lane
        self.memory = memory
        self.draining = draining

    async def responses(self, request: bytes) -> list[bytes]:
        """Return the responses of both servers to the same bytes."""
        return [await self._response(port, request) for port in self.ports]

    async def _response(self, port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(HANGS_AFTER_S):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            has_body = length is not None and not request.startswith(b"HEAD")
            body = await reader.readexactly(int(length[1])) if length and has_body else b""
            # Nothing follows the response.
            if b"connection: close" not in head:
                writer.write(b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n")
                assert (await reader.readline()) == b"HTTP/1.1 404 Not Found\r\n"
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return head + body


@asynccontextmanager
async def two_servers(**settings: Any) -> AsyncGenerator[TwoServers]:
    memory, draining, nats = Memory(), DrainState(), ScriptedNats()
    nats.reply_headers = {headers.BLOCK_HASH: HASH, headers.BLOCK_NUMBER: "7"}

    def answer(asked: Asked) -> bytes:
        return SMALL if asked.subject.endswith(LATEST_BLOCK.name) else LARGE

    nats.answer = answer
    # An app of all operations takes ten times as long to make.
    with mock.patch.object(operation_routes, "OPERATIONS", OPERATIONS):
        app = create_app(
            BridgeSettings(**settings), nats, BridgeMetrics(), draining=draining, memory=memory
        )
    lane = app.state.fast_lane
    lane.__class__ = CountingLane
    ports: list[int] = []
    async with contextlib.AsyncExitStack() as stack:
        for fast_lane in (lane, None):
            config = uvicorn.Config(
                app,
                port=0,
                http=limited_http_protocol(ConnectionTracker(100), fast_lane=fast_lane),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
            )
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve())
            await eventually(lambda server=server: server.started)

            async def stop(server: uvicorn.Server = server, task: Any = task) -> None:
                server.should_exit = True
                await task

            stack.push_async_callback(stop)
            ports.append(server.servers[0].sockets[0].getsockname()[1])
        yield TwoServers(ports, lane, memory, draining)


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def request_of(path: str, *fields: str, method: str = "GET") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: bridge", *fields, "", "")
    return "\r\n".join(lines).encode("latin-1")


def compared(response: bytes) -> bytes:
    return GENERATED_ID.sub(b"", DATE.sub(b"", response))


FAST: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/health", ()),
    ("/health", ("If-None-Match: *", "Accept-Encoding: gzip", "Authorization: Basic x")),
    *((path, (OPEN,)) for path in (NEURONS, VALIDATORS, RECENT, LATEST, UNSTABLE)),
    (NEURONS, (SN2,)),
    (OWN, (SN1,)),
    (NEURONS, (OPEN, "Cookie: pylon_session=invalid")),
    (OWN, (SN1, "Cookie: pylon_session=invalid")),
    *(
        (path, (OPEN, f"If-None-Match: {tags}"))
        for path in (NEURONS, LATEST)
        for tags in (
            *(f'"{HASH}"', f'W/"{HASH}"', f'"{HASH}-zstd"', f'"{HASH}-gzip"', "*"),
            *('"other"', f'"other", "{HASH}"', "", HASH, f'"{HASH}-br"'),
        )
    ),
    *(
        (path, (OPEN, f"Accept-Encoding: {codings}"))
        for path in (NEURONS, LATEST)
        for codings in (
            *("gzip", "zstd", "gzip, zstd", "br", "identity", "*", "", "GZIP;q=0.5, zstd;q=0.4"),
            *("gzip;q=0", "gzip;q=x", "identity;q=1, gzip;q=0.5"),
        )
    ),
    (NEURONS, (OPEN, "Accept-Encoding: gzip", f'If-None-Match: "{HASH}"')),
    *((LATEST, (OPEN, f"X-Request-Id: {given}")) for given in ("r-1:a.b", "x" * 128)),
    *((LATEST, (OPEN, f"X-Request-Id: {given}")) for given in ("", "two words", "x" * 129, "né")),
    (LATEST, (OPEN, f"traceparent: 00-{'a' * 32}-{'b' * 16}-01")),
    (LATEST, (OPEN, "traceparent: none")),
    *((LATEST, (OPEN, f"X-Pylon-Timeout: {timeout}")) for timeout in ("60.0", "5", "0.25")),
    (LATEST, (OPEN, "X-Forwarded-Proto: https", "X-Forwarded-For: 10.0.0.1")),
    (LATEST, (OPEN, "Accept: text/html", "User-Agent: any", "Connection: keep-alive")),
)
SLOW: tuple[tuple[str, tuple[str, ...]], ...] = (
    (NEURONS, ()),
    (NEURONS, ("Authorization: Bearer wrong",)),
    (NEURONS, ("Authorization: Bearer ",)),
    (NEURONS, (f"authorization: bearer {OPEN_TOKEN}",)),
    (NEURONS, (f"Authorization: Bearer  {OPEN_TOKEN}",)),
    (NEURONS, ("Authorization: Bearer wrong", OPEN)),
    (NEURONS, (OPEN, "Authorization: Bearer wrong")),
    (NEURONS, ("Cookie: pylon_session=invalid",)),
    (OWN, (OPEN,)),
    (OWN, (SN2,)),
    (OWN, ("Cookie: pylon_session=invalid",)),
    ("/api/v1/identity/sn1/subnet/2/block/latest/neurons", (SN1,)),
    ("/api/v1/identity/nobody/subnet/1/block/latest/neurons", (SN1,)),
    ("/api/v1/subnet/2/block/latest/neurons", (OPEN,)),
    ("/api/v1/subnet/01/block/latest/neurons", (OPEN,)),
    ("/api/v1/subnet/99999/block/latest/neurons", (OPEN,)),
    (f"{NEURONS}?a=b", (OPEN,)),
    (f"{NEURONS}?", (OPEN,)),
    (f"{NEURONS}/", (OPEN,)),
    ("/api/v1/subnet/%31/block/latest/neurons", (OPEN,)),
    (f"/{NEURONS}", (OPEN,)),
    (f"http://bridge{LATEST}", (OPEN,)),
    (LATEST, (OPEN, "Range: bytes=0-1")),
    (LATEST, (OPEN, "Content-Length: 0")),
    (LATEST, (OPEN, f'If-None-Match: "{HASH}"', 'If-None-Match: "other"')),
    (LATEST, (OPEN, "X-Request-Id: one", "X-Request-Id: two")),
    *(
        (LATEST, (OPEN, f"X-Pylon-Timeout: {timeout}"))
        for timeout in ("0", "0.0", "-1", "x", "", "inf", "nan", "1e1", "007", "+5")
    ),
    (LATEST, (OPEN, *(f"X-{number}: {'x' * 1000}" for number in range(33)))),
)


def test_both_ways_respond_with_the_same_bytes() -> None:
    async def compare() -> None:
        async with two_servers() as servers:
            for is_fast, requests in ((True, FAST), (False, SLOW)):
                for path, fields in requests:
                    for method in ("GET", "HEAD"):
                        before = servers.lane.responses
                        request = request_of(path, *fields, method=method)
                        fast, slow = await servers.responses(request)
                        assert compared(fast) == compared(slow), request
                        assert servers.lane.responses - before == is_fast, request

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare())


@pytest.mark.parametrize("is_kept", [False, True])
def test_the_prefix_of_a_proxy_may_be_kept_or_removed(*, is_kept: bool) -> None:
    async def compare() -> None:
        async with two_servers(
            bridge_root_path=ROOT_PATH, bridge_trusted_proxies=["127.0.0.1/32"]
        ) as servers:
            for path in ("/health", NEURONS, OWN, LATEST):
                sent = path if not is_kept else f"{ROOT_PATH}{path}"
                token = SN1 if path == OWN else OPEN
                request = request_of(sent, token, "X-Forwarded-Proto: https")
                fast, slow = await servers.responses(request)
                assert fast.startswith(b"HTTP/1.1 200")
                assert compared(fast) == compared(slow), request
            assert servers.lane.responses == 4

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare())


def test_without_a_token_open_access_ignores_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "")

    async def compare() -> None:
        async with two_servers() as servers:
            for token in ("Authorization: Bearer wrong", "Authorization: x", SN1, "Accept: */*"):
                fast, slow = await servers.responses(request_of(NEURONS, token))
                assert b"cache-control: public, no-cache" in fast
                assert compared(fast) == compared(slow)
            assert servers.lane.responses == 4

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare())


def test_requests_take_the_usual_way_while_draining_or_without_fresh_replies() -> None:
    async def compare() -> None:
        async with two_servers() as servers:
            await servers.responses(request_of(NEURONS, OPEN))
            assert servers.lane.responses == 1
            servers.memory.holds_fresh = False
            fast, slow = await servers.responses(request_of(NEURONS, OPEN))
            assert compared(fast) == compared(slow)
            servers.memory.holds_fresh = True
            servers.draining.has_begun = True
            for path in (NEURONS, "/health"):
                fast, slow = await servers.responses(request_of(path, OPEN))
                assert b"connection: close" in fast
                assert compared(fast) == compared(slow)
            assert servers.lane.responses == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare())


def test_a_newer_reply_replaces_all_forms_of_the_older_one() -> None:
    async def read() -> None:
        async with two_servers() as servers:
            known = (OPEN, f'If-None-Match: "{HASH}"', "Accept-Encoding: gzip")
            fast, _ = await servers.responses(request_of(LATEST, *known))
            assert fast.startswith(b"HTTP/1.1 304")
            assert b"x-pylon-source: memory\r\n" in fast
            newer = Block(number=BlockNumber(8), hash=BlockHash(f"0x{8:064x}"))
            servers.memory.chain = MemoryReply(newer, b'{"number":8}')
            fast, _ = await servers.responses(request_of(LATEST, *known))
            assert fast.endswith(b'{"number":8}')
            assert b"x-pylon-block-number: 8\r\n" in fast

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(read())


def test_pipelined_requests_are_answered_in_order() -> None:
    async def pipeline() -> None:
        async with two_servers() as servers:
            requests = (
                request_of("/health"),
                request_of(f"{LATEST}?slow", OPEN),
                request_of("/health", "X-Request-Id: last"),
                request_of("/nothing", "Connection: close"),
            )
            reader, writer = await asyncio.open_connection("127.0.0.1", servers.ports[0])
            writer.write(b"".join(requests))
            async with asyncio.timeout(HANGS_AFTER_S):
                received = await reader.read(-1)
            writer.close()
            statuses = re.findall(rb"HTTP/1.1 (\d+) ", received)
            assert statuses == [b"200", b"200", b"200", b"404"]
            assert received.index(b'{"number":7}') < received.index(b"x-request-id: last")
            assert servers.lane.responses == 1, "the third one waits for the second one"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(pipeline())


def test_a_client_that_reads_nothing_stops_the_lane() -> None:
    async def flood() -> None:
        async with two_servers() as servers:
            reader, writer = await asyncio.open_connection("127.0.0.1", servers.ports[0])
            count = 100
            writer.write(request_of(NEURONS, OPEN) * count)
            await eventually(lambda: servers.lane.responses > 0)
            # 100 responses are 12 MB, of which the lane sends what the sockets take.
            fast, _ = await servers.responses(request_of("/health"))
            assert fast.startswith(b"HTTP/1.1 200")
            assert servers.lane.responses < count
            async with asyncio.timeout(HANGS_AFTER_S):
                for _ in range(count):
                    await reader.readuntil(b"\r\n\r\n")
                    assert await reader.readexactly(len(LARGE)) == LARGE
            writer.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(flood())
