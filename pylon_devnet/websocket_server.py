"""The WebSocket server of the node: JSON-RPC framing, batches, subscriptions and faults."""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import Any

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from pylon_devnet.block import BlockHeader
from pylon_devnet.injected_faults import Faults
from pylon_devnet.node_rpc import INVALID_PARAMS, SubmitExtrinsic
from pylon_devnet.rpc_error import RpcError

_MAX_QUEUED_NOTIFICATIONS = 4096
_MAX_MESSAGE_BYTES = 16 << 20
_INVALID_REQUEST = -32600
_PARSE_ERROR = -32700
_INTERNAL_ERROR = -32603
_log = logging.getLogger(__name__)
_HEAD_SUBSCRIPTIONS = {
    "chain_subscribeNewHeads": "chain_newHead",
    "chain_subscribeNewHead": "chain_newHead",
    "chain_subscribeAllHeads": "chain_allHead",
    "chain_subscribeFinalizedHeads": "chain_finalizedHead",
    "chain_subscribeFinalisedHeads": "chain_finalizedHead",
}
_TERMINAL_STATUSES = {"finalized", "finalityTimeout", "usurped", "dropped", "invalid"}
_UNSUBSCRIBE_METHODS = (
    "chain_unsubscribeNewHeads",
    "chain_unsubscribeNewHead",
    "chain_unsubscribeAllHeads",
    "chain_unsubscribeFinalizedHeads",
    "chain_unsubscribeFinalisedHeads",
    "state_unsubscribeRuntimeVersion",
    "author_unwatchExtrinsic",
)


class _RpcRequest(msgspec.Struct):
    """A JSON-RPC request."""

    method: str
    id: Any = None
    params: list[Any] | dict[str, Any] | None = None


_Frame = list[_RpcRequest] | _RpcRequest
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Frame)


class RpcClient:
    """A connected client with its subscriptions and queued notifications.

    Args:
        connection: connection to the client.
        faults: injected faults.
    """

    def __init__(self, connection: ServerConnection, faults: Faults) -> None:
        self.connection = connection
        self.head_subscriptions: dict[str, str] = {}
        self.watch_subscriptions: set[str] = set()
        self._faults = faults
        self._notifications: asyncio.Queue[bytes] = asyncio.Queue(_MAX_QUEUED_NOTIFICATIONS)

    def notify(self, method: str, subscription: str, result: Any) -> None:
        """Queue a notification; disconnect the client if its queue is full."""
        params = {"subscription": subscription, "result": result}
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        try:
            self._notifications.put_nowait(msgspec.json.encode(message))
        except asyncio.QueueFull:
            self.abort()

    async def send_notifications(self) -> None:
        """Send queued notifications until cancelled."""
        while True:
            message = await self._notifications.get()
            if not self._faults.silent:
                await self.send(message)

    async def send(self, message: bytes) -> None:
        """Send a message, unless the client has disconnected."""
        try:
            await self.connection.send(message, text=True)
        except ConnectionClosed:
            return

    def abort(self) -> None:
        """Abort the connection without a closing handshake."""
        self.connection.transport.abort()


class WebSocketServer:
    """Serves JSON-RPC over WebSockets, and notifies subscribers.

    Args:
        call: executes a request without a subscription; raises RpcError.
        log_request: logs a subscription request.
        submit: submits an extrinsic with a status callback.
        current_headers: returns the newest and the newest finalized header.
        faults: injected faults.
    """

    def __init__(
        self,
        call: Callable[[str, list[Any]], Any],
        log_request: Callable[[str, list[Any]], None],
        submit: SubmitExtrinsic,
        current_headers: Callable[[], tuple[BlockHeader, BlockHeader]],
        faults: Faults,
    ) -> None:
        self._call = call
        self._log_request = log_request
        self._submit = submit
        self._current_headers = current_headers
        self._faults = faults
        self._clients: set[RpcClient] = set()
        self._subscription_ids = count(1)
        self._server: Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Start to listen; return the port."""
        self._server = await serve(
            self._serve,
            host,
            port,
            process_request=self._handshake,
            compression=None,
            max_size=_MAX_MESSAGE_BYTES,
            close_timeout=0.5,
        )
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and disconnect all clients."""
        if self._server is not None:
            self._server.close()
            # Let the server stop listening first; otherwise disconnected clients reconnect.
            await asyncio.sleep(0)
            self.drop_all()
            await self._server.wait_closed()

    def drop_all(self) -> int:
        """Abort all connections; return their number."""
        peers = list(self._clients)
        for peer in peers:
            peer.abort()
        return len(peers)

    def announce_head(self, header: BlockHeader) -> None:
        """Notify subscribers of a new block."""
        self._announce(("chain_newHead", "chain_allHead"), header.as_json())

    def announce_false_head(self, number: Any) -> None:
        """Announce the newest block with a false number."""
        header = self._current_headers()[0]
        self._announce(("chain_newHead", "chain_allHead"), {**header.as_json(), "number": number})

    def announce_final(self, header: BlockHeader) -> None:
        """Notify subscribers of a finalized block."""
        self._announce(("chain_finalizedHead",), header.as_json())

    def _announce(self, methods: tuple[str, ...], header: dict[str, Any]) -> None:
        for peer in self._clients:
            for subscription, method in peer.head_subscriptions.items():
                if method in methods:
                    peer.notify(method, subscription, header)

    def _handshake(self, connection: ServerConnection, _request: Request) -> Response | None:
        if self._faults.rejects_connections():
            connection.transport.abort()
            return None
        status = self._faults.next_handshake_rejection()
        if status is None:
            return None
        reason = HTTPStatus(status).phrase
        headers = Headers({"Content-Length": str(len(reason)), "Connection": "close"})
        return Response(status, reason, headers, reason.encode())

    async def _serve(self, connection: ServerConnection) -> None:
        peer = RpcClient(connection, self._faults)
        self._clients.add(peer)
        tasks = {asyncio.create_task(peer.send_notifications())}
        try:
            async for message in connection:
                await self._receive(peer, message, tasks)
        except ConnectionClosed:
            return
        finally:
            self._clients.discard(peer)
            # Cancel delayed responses for the disconnected client.
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(
        self, peer: RpcClient, message: str | bytes, tasks: set[asyncio.Task[None]]
    ) -> None:
        if self._faults.silent:
            return
        try:
            frame: _Frame = _decoder.decode(message)
        except msgspec.ValidationError:
            await peer.send(_error_response(None, _INVALID_REQUEST, "Invalid request"))
            return
        except msgspec.DecodeError:
            await peer.send(_error_response(None, _PARSE_ERROR, "Parse error"))
            return
        requests = frame if isinstance(frame, list) else [frame]
        delay_s = max((self._faults.delays_s.get(one.method, 0.0) for one in requests), default=0.0)
        if delay_s:
            task = asyncio.create_task(self._respond(peer, frame, delay_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            await self._respond(peer, frame)

    async def _respond(self, peer: RpcClient, frame: _Frame, delay_s: float = 0.0) -> None:
        if delay_s:
            await asyncio.sleep(delay_s)
        if isinstance(frame, list):
            answers = [self._execute(peer, request) for request in frame]
            await peer.send(b"[" + b",".join(answers) + b"]")
        else:
            await peer.send(self._execute(peer, frame))

    def _execute(self, peer: RpcClient, request: _RpcRequest) -> bytes:
        # Named params are expected in positional order.
        given = request.params or []
        params = list(given.values()) if isinstance(given, dict) else given
        planned = self._faults.next_error(request.method)
        if planned is not None:
            return _error_response(request.id, planned.code, planned.message)
        try:
            result = self._dispatch(peer, request.method, params)
        except RpcError as error:
            body = {"jsonrpc": "2.0", "id": request.id, "error": error.as_json()}
            return msgspec.json.encode(body)
        except Exception:  # noqa: BLE001 - an error in one request must not end the connection
            _log.exception("%s failed with an unexpected exception", request.method)
            return _error_response(request.id, _INTERNAL_ERROR, "Internal error")
        result = self._faults.falsify(request.method, result)
        return msgspec.json.encode({"jsonrpc": "2.0", "id": request.id, "result": result})

    def _dispatch(self, peer: RpcClient, method: str, params: list[Any]) -> Any:
        if method in _HEAD_SUBSCRIPTIONS:
            self._log_request(method, params)
            return self._subscribe_heads(peer, _HEAD_SUBSCRIPTIONS[method])
        if method == "state_subscribeRuntimeVersion":
            self._log_request(method, params)
            subscription = str(next(self._subscription_ids))
            version = self._call("state_getRuntimeVersion", [])
            peer.notify("state_runtimeVersion", subscription, version)
            return subscription
        if method == "author_submitAndWatchExtrinsic":
            return self._watch_extrinsic(peer, params)
        if method in _UNSUBSCRIBE_METHODS:
            self._log_request(method, params)
            subscription = str(params[0]) if params else ""
            known = (
                subscription in peer.head_subscriptions or subscription in peer.watch_subscriptions
            )
            peer.head_subscriptions.pop(subscription, None)
            peer.watch_subscriptions.discard(subscription)
            return known
        return self._call(method, params)

    def _subscribe_heads(self, peer: RpcClient, method: str) -> str:
        subscription = str(next(self._subscription_ids))
        peer.head_subscriptions[subscription] = method
        best, final = self._current_headers()
        header = final if method == "chain_finalizedHead" else best
        peer.notify(method, subscription, header.as_json())
        return subscription

    def _watch_extrinsic(self, peer: RpcClient, params: list[Any]) -> str:
        self._log_request("author_submitAndWatchExtrinsic", [])
        subscription = str(next(self._subscription_ids))

        def on_status(status: Any) -> None:
            if subscription not in peer.watch_subscriptions:
                return
            peer.notify("author_extrinsicUpdate", subscription, status)
            if not _TERMINAL_STATUSES.isdisjoint([status] if isinstance(status, str) else status):
                peer.watch_subscriptions.discard(subscription)

        peer.watch_subscriptions.add(subscription)
        try:
            self._submit(str(params[0]), on_status)
        except (IndexError, ValueError) as error:
            peer.watch_subscriptions.discard(subscription)
            raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from error
        except BaseException:
            peer.watch_subscriptions.discard(subscription)
            raise
        return subscription


def _error_response(request_id: Any, code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error})
