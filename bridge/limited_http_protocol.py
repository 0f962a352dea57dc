"""uvicorn's HTTP protocol with limits on every connection."""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.fast_lane.fast_lane import FastLane
from bridge.header_limit import MAX_HEADER_BYTES
from bridge.open_connections import CloseReason, ConnectionStage, ConnectionTracker
from bridge.problems import RETRY_AFTER_S
from pylon_client.contract.topology import MAX_REQUEST_BYTES

HEADER_TIMEOUT_S: Final = 30.0
"""Timeout for the headers of a request, in seconds.

It starts when the connection is accepted, or at the first byte of a later request.
"""
WRITE_TIMEOUT_S: Final = 90.0
"""Seconds without progress after which a client that does not read its response is disconnected."""

MAX_JOINED_BYTES: Final = 4096
"""Maximum size of a body that is copied behind its head to send both at once, in bytes."""

_STATUS_LINES: Final = {408: "Request Timeout", 503: "Service Unavailable"}


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits on headers, request bodies and stalled clients.

    httptools buffers a header until it is complete, without a limit. Body bytes that arrive after
    the response are discarded up to a limit, since a client stops sending when it reads the
    response. uvicorn itself limits only the idle time of connections.

    The fast lane responds to hot reads as soon as their headers are complete, without a task and
    without the ASGI app, unless an earlier request of the connection is in progress.

    Attributes:
        tracker: all connections of this server.
        fast_lane: responds to hot reads; None if the ASGI app handles all requests.
        header_timeout_s: timeout for the headers of a request, in seconds.
        write_timeout_s: seconds after which a client that reads nothing is disconnected.
    """

    tracker: ClassVar[ConnectionTracker]
    fast_lane: ClassVar[FastLane | None] = None
    header_timeout_s: ClassVar[float] = HEADER_TIMEOUT_S
    write_timeout_s: ClassVar[float] = WRITE_TIMEOUT_S

    _bytes_since_progress = 0
    _discarded_bytes = 0
    _made_progress = False
    _is_in_head = False
    _has_head = False
    _is_answered = False
    _unsent: tuple[bytes, bytes] | None = None
    _pending_responses = 0
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] -- as in the base class
        """Accept a connection, or reject it if there are too many."""
        super().connection_made(transport)
        if self.tracker.add(self):
            self._start_header_timer()
        else:
            self._reject(503, "There are too many connections: try again later.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a closed connection."""
        self.tracker.remove(self)
        self._cancel_header_timer()
        self._cancel_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data; reject headers that are too large."""
        if self.transport.is_closing():
            return  # it was rejected
        self._bytes_since_progress += len(data)
        self._has_head = False
        super().data_received(data)
        # The head of most requests arrives at once, and needs no timer.
        is_waiting = self._is_in_head or not self._has_head
        if is_waiting and self._header_timer is None and not self._pending_responses:
            self.tracker.set_stage(self, ConnectionStage.HEAD)
            self._start_header_timer()
        if self._made_progress:
            self._bytes_since_progress, self._made_progress = 0, False
        elif self._bytes_since_progress > MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """Note the start of a request."""
        self._made_progress = self._is_in_head = True
        self._is_answered = False
        self._discarded_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the headers of a request are complete."""
        self._cancel_header_timer()
        self._is_in_head, self._has_head = False, True
        self._send_unsent()
        self._pending_responses += 1
        if self._pending_responses == 1 and self._answer_fast():
            return
        self.tracker.set_stage(self, ConnectionStage.BODY)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Handle a part of the body; close the connection if too much follows the response."""
        self._made_progress = True
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > MAX_REQUEST_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        if self._is_answered:
            return
        if self._pending_responses:
            self.tracker.set_stage(self, ConnectionStage.RESPONSE)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Note that a response is complete."""
        self._pending_responses -= 1
        self.tracker.set_stage(
            self, ConnectionStage.RESPONSE if self._pending_responses else ConnectionStage.IDLE
        )
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Start the write timer: the write buffer is full."""
        super().pause_writing()
        self._start_write_timer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Cancel the write timer: the client has read most of the buffer."""
        self._cancel_write_timer()
        super().resume_writing()

    def shutdown(self) -> None:
        """Close the connection after the response in progress."""
        self._send_unsent()
        super().shutdown()

    def evict(self) -> None:
        """Close the connection immediately in favour of a new one."""
        self.transport.abort()

    def _answer_fast(self) -> bool:
        """Send the response of the fast lane; return False if it has none."""
        lane, parser = self.fast_lane, self.parser
        if lane is None or parser is None or self.flow.write_paused or self.transport.is_closing():
            return False
        if not parser.should_keep_alive() or parser.get_http_version() != "1.1":
            return False
        response = lane.respond(
            parser.get_method(), self.url, self.headers, self.server_state.default_headers
        )
        if response is None:
            return False
        self._is_answered = True
        self._unsent = response
        # All requests that have arrived are read before the first response is sent: the clients
        # are woken once, and their next requests arrive together too.
        self.loop.call_soon(self._send_unsent)
        return True

    def _send_unsent(self) -> None:
        """Send the response of the fast lane, if there is one."""
        if self._unsent is None:
            return
        head, body = self._unsent
        self._unsent = None
        if len(body) <= MAX_JOINED_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
        self.on_response_complete()

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(self.header_timeout_s, self._on_header_timeout)

    def _on_header_timeout(self) -> None:
        self._header_timer = None
        if self.transport.is_closing():
            return
        self.tracker.count_closed(CloseReason.HEAD_TIMEOUT)
        self._reject(408, f"The head of the request did not arrive in {self.header_timeout_s:g} s.")

    def _start_write_timer(self, buffered_bytes: int) -> None:
        self._cancel_write_timer()
        self._write_timer = self.loop.call_later(
            self.write_timeout_s, self._check_write_progress, buffered_bytes
        )

    def _check_write_progress(self, buffered_bytes: int) -> None:
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes < buffered_bytes:
            self._start_write_timer(left_bytes)
            return
        self.tracker.count_closed(CloseReason.STALLED)
        self.transport.abort()

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _reject(self, status: int, text: str) -> None:
        lines = (
            f"HTTP/1.1 {status} {_STATUS_LINES[status]}",
            "content-type: text/plain; charset=utf-8",
            f"content-length: {len(text)}",
            f"retry-after: {RETRY_AFTER_S}",
            "connection: close",
            "",
            text,
        )
        self.transport.write("\r\n".join(lines).encode())
        self.transport.close()


def limited_http_protocol(
    connections: ConnectionTracker, **limits: Any
) -> type[LimitedHttpProtocol]:
    """Return the protocol class of one server.

    Args:
        connections: tracker of this server's connections.
        limits: class attributes that override the defaults.
    """
    return type("LimitedHttpProtocol", (LimitedHttpProtocol,), {"tracker": connections, **limits})
