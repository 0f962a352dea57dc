"""JSON-RPC over WebSockets: frames, subscriptions and faults, without a socket."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from websockets.exceptions import ConnectionClosedOK

from pylon_devnet import websocket_server
from pylon_devnet.block import BlockHeader
from pylon_devnet.injected_faults import Faults, InjectedError
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.transaction_pool import StatusCallback
from pylon_devnet.websocket_server import WebSocketServer

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection


def header(number: int) -> BlockHeader:
    return BlockHeader(bytes(32), number, bytes(32), bytes(32), None)


class FakeConnection:
    """A connection of a client; `transport` is the connection itself."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.received: asyncio.Queue[str | None] = asyncio.Queue()
        self.is_aborted = False
        self.transport = self

    def abort(self) -> None:
        self.is_aborted = True
        self.received.put_nowait(None)

    async def send(self, message: bytes, *, text: bool) -> None:
        if self.is_aborted:
            raise ConnectionClosedOK(None, None)
        self.sent.append(json.loads(message))

    async def __aiter__(self) -> Any:
        while (message := await self.received.get()) is not None:
            yield message


@dataclass
class FakeNode:
    """A server with a node that returns the params of each request."""

    faults: Faults = field(default_factory=Faults)
    logged: list[str] = field(default_factory=list)
    watches: list[StatusCallback] = field(default_factory=list)
    submitting: Exception | None = None

    def __post_init__(self) -> None:
        self.server = WebSocketServer(
            self._call,
            lambda method, _: self.logged.append(method),
            self._submit,
            lambda: (header(7), header(6)),
            self.faults,
        )
        self.connection = FakeConnection()

    def _call(self, method: str, params: list[Any]) -> Any:
        if method == "refused":
            raise RpcError(1010, "Invalid", "why")
        if method == "broken":
            raise ZeroDivisionError
        return {"method": method, "params": params}

    def _submit(self, _: str, on_status: StatusCallback | None) -> bytes:
        if self.submitting is not None:
            raise self.submitting
        assert on_status is not None
        self.watches.append(on_status)
        on_status("ready")
        return bytes(32)

    async def exchange(self, *frames: Any) -> list[Any]:
        """Return what the server sends for some frames until it has nothing left to do."""
        serving = asyncio.create_task(self.server._serve(cast("ServerConnection", self.connection)))
        for frame in frames:
            text = frame if isinstance(frame, str) else json.dumps(frame)
            self.connection.received.put_nowait(text)
        await settle()
        sent, self.connection.sent = self.connection.sent, []
        self.connection.received.put_nowait(None)
        await serving
        return sent

    async def serve(self) -> None:
        """Serve the connection until it is aborted."""
        self._serving = asyncio.create_task(
            self.server._serve(cast("ServerConnection", self.connection))
        )
        await settle()

    async def ask(self, method: str, *params: Any) -> list[Any]:
        """Return what the server sends after a request on the served connection."""
        self.connection.sent.clear()
        self.connection.received.put_nowait(json.dumps(request(method, *params)))
        await settle()
        return list(self.connection.sent)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def request(method: str, *params: Any, id_: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": list(params)}


def results(sent: list[Any]) -> list[Any]:
    return [one["result"] for one in sent if "id" in one]


def notifications(sent: list[Any]) -> list[tuple[str, Any]]:
    return [(one["method"], one["params"]["result"]) for one in sent if "method" in one]


async def test_a_request_is_answered_with_its_id() -> None:
    (answer,) = await FakeNode().exchange(request("x", 1, id_="a"))
    assert answer == {"jsonrpc": "2.0", "id": "a", "result": {"method": "x", "params": [1]}}


@pytest.mark.parametrize("params", [None, [], {}])
async def test_params_may_be_missing(params: Any) -> None:
    (answer,) = await FakeNode().exchange({"id": 1, "method": "x", "params": params})
    assert answer["result"]["params"] == []


async def test_named_params_are_positional() -> None:
    (answer,) = await FakeNode().exchange({"id": 1, "method": "x", "params": {"a": 1, "b": 2}})
    assert answer["result"]["params"] == [1, 2]


async def test_a_batch_is_answered_in_one_frame() -> None:
    (answers,) = await FakeNode().exchange([request("x", id_=1), request("refused", id_=2)])
    assert [one["id"] for one in answers] == [1, 2]
    assert answers[1]["error"] == {"code": 1010, "message": "Invalid", "data": "why"}


@pytest.mark.parametrize(
    ("frame", "code"),
    [("{", -32700), ("\x00", -32700), ('{"id": 1}', -32600), ("7", -32600), ("[7]", -32600)],
)
async def test_an_invalid_frame_is_an_error_and_the_next_one_is_served(
    frame: str, code: int
) -> None:
    error, answer = await FakeNode().exchange(frame, request("x"))
    assert (error["id"], error["error"]["code"]) == (None, code)
    assert answer["result"]["method"] == "x"


async def test_a_mistake_in_a_method_does_not_end_the_connection() -> None:
    error, answer = await FakeNode().exchange(request("broken"), request("x"))
    assert error["error"] == {"code": -32603, "message": "Internal error"}
    assert answer["result"]["method"] == "x"


@pytest.mark.parametrize(
    ("subscribe", "notified", "number"),
    [
        ("chain_subscribeNewHeads", "chain_newHead", "0x7"),
        ("chain_subscribeAllHeads", "chain_allHead", "0x7"),
        ("chain_subscribeFinalizedHeads", "chain_finalizedHead", "0x6"),
    ],
)
async def test_a_subscription_begins_with_the_current_head(
    subscribe: str, notified: str, number: str
) -> None:
    node = FakeNode()
    sent = await node.exchange(request(subscribe))
    assert results(sent) == ["1"]
    assert [(name, head["number"]) for name, head in notifications(sent)] == [(notified, number)]
    assert sent[0] == {"jsonrpc": "2.0", "id": 1, "result": "1"}, "the id precedes its events"
    assert node.logged == [subscribe]


async def test_heads_are_announced_to_their_subscribers() -> None:
    node = FakeNode()
    await node.serve()
    (best,) = results(await node.ask("chain_subscribeNewHeads"))
    await node.ask("chain_subscribeFinalizedHeads")
    node.connection.sent.clear()
    node.server.announce_head(header(8))
    node.server.announce_final(header(7))
    node.server.announce_false_head("0xffff")
    await settle()
    announced = [(name, head["number"]) for name, head in notifications(node.connection.sent)]
    assert announced == [
        ("chain_newHead", "0x8"),
        ("chain_finalizedHead", "0x7"),
        ("chain_newHead", "0xffff"),
    ]
    assert results(await node.ask("chain_unsubscribeNewHeads", best)) == [True]
    assert results(await node.ask("chain_unsubscribeNewHeads", best)) == [False]
    assert results(await node.ask("chain_unsubscribeNewHeads")) == [False]
    node.connection.sent.clear()
    node.server.announce_head(header(9))
    await settle()
    assert node.connection.sent == []


async def test_the_runtime_version_is_notified_once() -> None:
    sent = await FakeNode().exchange(request("state_subscribeRuntimeVersion"))
    version = {"method": "state_getRuntimeVersion", "params": []}
    assert notifications(sent) == [("state_runtimeVersion", version)]


@pytest.mark.parametrize("last", ["invalid", "dropped", {"usurped": "0x"}, {"finalized": "0x"}])
async def test_a_watched_extrinsic_is_reported_to_its_end(last: Any) -> None:
    node = FakeNode()
    await node.serve()
    sent = await node.ask("author_submitAndWatchExtrinsic", "0x00")
    assert notifications(sent) == [("author_extrinsicUpdate", "ready")]
    (on_status,) = node.watches
    node.connection.sent.clear()
    for status in ({"inBlock": "0x"}, last, {"retracted": "0x"}):
        on_status(status)
    await settle()
    reported = [status for _, status in notifications(node.connection.sent)]
    assert reported == [{"inBlock": "0x"}, last]


async def test_an_extrinsic_is_watched_until_it_is_unwatched() -> None:
    node = FakeNode()
    await node.serve()
    (subscription,) = results(await node.ask("author_submitAndWatchExtrinsic", "0x00"))
    assert results(await node.ask("author_unwatchExtrinsic", subscription)) == [True]
    node.connection.sent.clear()
    node.watches[0]({"inBlock": "0x"})
    await settle()
    assert node.connection.sent == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(RpcError(1010, "Invalid"), 1010), (ValueError("not hexadecimal"), -32602)],
)
async def test_a_rejected_extrinsic_is_not_watched(error: Exception, code: int) -> None:
    node = FakeNode(submitting=error)
    await node.serve()
    (answer,) = await node.ask("author_submitAndWatchExtrinsic", "0x00")
    assert answer["error"]["code"] == code
    (client,) = node.server._clients
    assert client.watch_subscriptions == set()


async def test_an_extrinsic_is_required() -> None:
    (answer,) = await FakeNode().exchange(request("author_submitAndWatchExtrinsic"))
    assert answer["error"]["code"] == -32602


async def test_injected_errors_precede_the_request() -> None:
    node = FakeNode()
    node.faults.errors["x"] = InjectedError(-5, "injected", 1)
    failed, answer = await node.exchange(request("x"), request("x"))
    assert failed["error"] == {"code": -5, "message": "injected"}
    assert answer["result"]["method"] == "x"


async def test_a_silent_node_neither_answers_nor_notifies() -> None:
    node = FakeNode()
    await node.serve()
    await node.ask("chain_subscribeNewHeads")
    node.faults.silent = True
    assert await node.ask("x") == []
    node.server.announce_head(header(8))
    await settle()
    assert node.connection.sent == []
    node.faults.silent = False
    assert results(await node.ask("x")) == [{"method": "x", "params": []}]


async def test_a_delayed_method_does_not_delay_others() -> None:
    node = FakeNode()
    node.faults.delays_s["slow"] = 3600.0
    (answer,) = await node.exchange([request("x", id_=1), request("slow", id_=2)], request("x"))
    assert answer["id"] == 1


async def test_a_client_that_reads_nothing_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_server, "_MAX_QUEUED_NOTIFICATIONS", 2)
    node = FakeNode()
    await node.serve()
    await node.ask("chain_subscribeNewHeads")
    for number in range(2):
        node.server.announce_head(header(number))
    assert not node.connection.is_aborted
    node.server.announce_head(header(2))
    assert node.connection.is_aborted
    await settle()
    assert node.server.drop_all() == 0


async def test_all_connections_are_aborted() -> None:
    node = FakeNode()
    await node.serve()
    assert node.server.drop_all() == 1
    await settle()
    assert (node.connection.is_aborted, node.server.drop_all()) == (True, 0)
    await node.server.stop()


def handshake(node: FakeNode) -> Any:
    return node.server._handshake(cast("ServerConnection", node.connection), cast("Any", None))


async def test_handshakes_are_rejected_with_a_status_or_aborted() -> None:
    node = FakeNode()
    assert handshake(node) is None
    node.faults.handshakes_to_reject = 1
    refused = handshake(node)
    assert (refused.status_code, refused.body) == (429, b"Too Many Requests")
    assert not node.connection.is_aborted
    node.faults.reject_connections(3600)
    assert handshake(node) is None
    assert node.connection.is_aborted
