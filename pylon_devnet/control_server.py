"""The control API of a devnet: JSON over HTTP, on loopback only.

Every control is a path. Its parameters are members of a JSON object in the body, or of the query.
`GET /` lists the controls.
"""

import asyncio
import inspect
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from pylon_devnet.simulated_chain import StateDiscardedError

if TYPE_CHECKING:
    from pylon_devnet.node import Devnet

_HOST = "127.0.0.1"
_REQUEST_TIMEOUT_S = 60.0
_MAX_BODY_BYTES = 4 << 20
_MAX_HEADER_BYTES = 64 << 10
ADVANCE_MAX_BLOCKS = 10_000
"""Blocks that one request may make."""
ADVANCE_TIMEOUT_S = 50.0
"""Seconds that one request may make blocks."""

Control = Callable[..., Any | Awaitable[Any]]


class ControlServer:
    """Serves the controls of one devnet.

    Args:
        devnet: the controlled devnet.
    """

    def __init__(self, devnet: "Devnet") -> None:
        self._devnet = devnet
        self._server: asyncio.Server | None = None
        self._in_progress: set[asyncio.Task[None]] = set()
        node = devnet
        self._controls: dict[tuple[str, str], Control] = {
            ("GET", "/"): self._index,
            ("GET", "/status"): self._status,
            ("GET", "/requests"): self._requests,
            ("GET", "/requests/counts"): node.request_counts,
            ("DELETE", "/requests"): node.clear_requests,
            ("GET", "/applied"): self._applied,
            ("GET", "/applied/counts"): node.applied_counts,
            ("GET", "/pool/most-in-flight"): node.most_in_flight,
            ("POST", "/advance"): self._advance,
            ("POST", "/pause"): node.pause,
            ("POST", "/resume"): node.resume,
            ("POST", "/prune"): node.prune,
            ("POST", "/stall-finality"): node.stall_finality,
            ("POST", "/resume-finality"): node.resume_finality,
            ("POST", "/reorg"): node.reorg,
            ("POST", "/drop-connections"): node.drop_connections,
            ("POST", "/refuse-connections"): node.refuse_connections,
            ("POST", "/refuse-handshakes"): node.refuse_handshakes,
            ("POST", "/go-silent"): node.go_silent,
            ("POST", "/speak"): node.speak,
            ("POST", "/delay-method"): node.delay_method,
            ("POST", "/fail-method"): node.fail_method,
            ("POST", "/drop-extrinsics"): node.drop_extrinsics,
            ("POST", "/announce-head"): node.announce_head,
            ("POST", "/falsify-headers"): node.falsify_headers,
            ("POST", "/refuse-extrinsics"): node.refuse_extrinsics,
            ("POST", "/swallow-extrinsics"): node.swallow_extrinsics,
            ("POST", "/mute-watches"): node.mute_watches,
            ("POST", "/reveal"): node.reveal,
            ("POST", "/reveal-commitment"): node.reveal_commitment,
            ("POST", "/drand-signature"): node.drand_signature,
            ("POST", "/set-hyperparameter"): node.set_hyperparameter,
            ("POST", "/set-storage"): node.set_storage,
            ("POST", "/register-neuron"): node.register_neuron,
            ("POST", "/deregister-neuron"): node.deregister_neuron,
            ("POST", "/trigger-epoch"): node.trigger_epoch,
        }

    async def start(self, port: int) -> int:
        """Listen on loopback; return the port."""
        self._server = await asyncio.start_server(
            self._accept, _HOST, port, limit=_MAX_HEADER_BYTES
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and cancel the requests in progress."""
        if self._server is not None:
            self._server.close()
            for task in self._in_progress:
                task.cancel()
            await asyncio.gather(*self._in_progress, return_exceptions=True)
            await self._server.wait_closed()

    def _index(self) -> list[str]:
        return [f"{method} {path}" for method, path in self._controls]

    def _status(self) -> dict[str, Any]:
        return {
            "best_number": self._devnet.best_number,
            "finalized_number": self._devnet.finalized_number,
            "oldest_state_number": self._devnet.chain.history.oldest,
            "genesis_hash": "0x" + self._devnet.chain.genesis_hash.hex(),
            "url": self._devnet.url,
        }

    def _requests(self) -> list[dict[str, Any]]:
        return [asdict(record) for record in self._devnet.requests()]

    def _applied(self) -> list[dict[str, Any]]:
        return [asdict(applied) for applied in self._devnet.applied_extrinsics()]

    async def _advance(self, blocks: int = 1) -> int:
        """Make blocks now; return the new height.

        Raises:
            ValueError: `blocks` is out of range, or the time limit was exceeded; the text states
                how many blocks were made.
        """
        if type(blocks) is not int or not 1 <= blocks <= ADVANCE_MAX_BLOCKS:
            raise ValueError(
                f"blocks is {blocks!r}; a request makes 1 to {ADVANCE_MAX_BLOCKS} blocks"
            )
        now_s = asyncio.get_running_loop().time
        end_s = now_s() + ADVANCE_TIMEOUT_S
        for made in range(blocks):
            if now_s() > end_s:
                raise ValueError(f"made {made} of {blocks} blocks in {ADVANCE_TIMEOUT_S:.0f} s")
            await self._devnet.advance()
        return self._devnet.best_number

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._in_progress.add(task)
        task.add_done_callback(self._in_progress.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                    await self._respond(reader, writer)
        finally:
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, unless its client closes the connection before that."""
        refused, request = await _read_request(reader)
        if request is None:
            await _write_response(writer, refused, b"{}")
            return
        answering = asyncio.create_task(self._control(*request))
        leaving = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not answering.done() and not leaving.result():
                return
            await _write_response(writer, *await answering)
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _control(self, method: str, target: str, body: bytes) -> tuple[HTTPStatus, bytes]:
        parts = urlsplit(target)
        control = self._controls.get((method, parts.path))
        if control is None:
            return HTTPStatus.NOT_FOUND, _detail(f"unknown control: {method} {parts.path}")
        try:
            given = _parse_query(control, dict(parse_qsl(parts.query)))
            if body.strip():
                given |= msgspec.json.decode(body, type=dict[str, Any])
            inspect.signature(control).bind(**given)
            result = control(**given)
            if inspect.isawaitable(result):
                result = await result
        except (TypeError, ValueError, StateDiscardedError) as error:
            return HTTPStatus.BAD_REQUEST, _detail(str(error))
        except sqlite3.Error as error:
            self._devnet.fail(error)
            text = f"could not write or read the chain: {error}; the devnet stops"
            return HTTPStatus.INSUFFICIENT_STORAGE, _detail(text)
        return HTTPStatus.OK, msgspec.json.encode(result, enc_hook=_as_hex)


async def _read_request(
    reader: asyncio.StreamReader,
) -> tuple[HTTPStatus, tuple[str, str, bytes] | None]:
    """Read a request as (method, target, body); return a status and None to reject it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, None
    request, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    length = int(headers.get("content-length", "0"))
    if length > _MAX_BODY_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None
    body = await reader.readexactly(length)
    method, _, target = request.partition(" ")
    return HTTPStatus.OK, (method, target.split(" ")[0], body)


async def _write_response(writer: asyncio.StreamWriter, status: HTTPStatus, body: bytes) -> None:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()


def _parse_query(control: Control, query: dict[str, str]) -> dict[str, Any]:
    """Convert the parameters of a query to the types of the control's parameters."""
    parameters = inspect.signature(control).parameters
    numbers: dict[Any, Callable[[str], Any]] = {int: int, float: float}
    return {
        name: numbers.get(parameters[name].annotation, str)(text) if name in parameters else text
        for name, text in query.items()
    }


def _as_hex(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise NotImplementedError(f"cannot encode {type(value).__name__}")


def _detail(text: str) -> bytes:
    return msgspec.json.encode({"detail": text})
