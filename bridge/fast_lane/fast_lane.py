"""The fast lane: responses to hot reads, without the framework."""

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from bridge.draining import DrainState
from bridge.fast_lane.hot_routes import HotRoutes
from bridge.fast_lane.rendered_responses import header_lines
from bridge.header_limit import MAX_HEADER_BYTES
from bridge.request_tracing import REQUEST_ID_HEADER, id_from_header, new_request_id
from bridge.security_headers import API_SECURITY_HEADERS
from pylon.common.logs import parse_trace_id
from pylon.common.redaction import REDACTOR
from pylon_client.contract import headers

_METHODS: Final = {b"GET": "GET", b"HEAD": "HEAD"}
_REQUEST_ID: Final = REQUEST_ID_HEADER.lower().encode()
_TRACE_PARENT: Final = headers.TRACE_PARENT.encode()
_TIMEOUT: Final = headers.HTTP_TIMEOUT.lower().encode()
_USED: Final = frozenset(
    {
        *(b"accept-encoding", b"authorization", b"if-none-match"),
        *(_REQUEST_ID, _TRACE_PARENT, _TIMEOUT),
    }
)
"""Headers that change a response; requests that repeat one of them take the usual way."""
_UNUSUAL: Final = frozenset(
    {b"content-length", b"expect", b"range", b"transfer-encoding", b"upgrade"}
)
"""Headers of requests that always take the usual way."""
_VALID_TIMEOUT = re.compile(rb"[1-9][0-9]{0,5}(\.[0-9]{1,6})?|0\.[0-9]{1,6}")
_STATUS_LINES: Final = {
    int(status): f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)
}
_TAIL: Final = b"\r\n" + header_lines(API_SECURITY_HEADERS) + b"\r\n"

HeaderList = Sequence[tuple[bytes, bytes]]
"""Names in lower case and values of headers."""


class FastLane:
    """Responds to hot reads, exactly as the framework's routes do.

    Requests with anything unusual are left to the framework: it decides about all errors.

    Args:
        routes: routes of the hot reads.
        draining: drain state of this bridge.
    """

    def __init__(self, routes: HotRoutes, draining: DrainState) -> None:
        self._routes = routes
        self._draining = draining
        self._server_headers: HeaderList = ()
        self._server_lines = b""

    def respond(
        self, method: bytes, target: bytes, fields: HeaderList, server_headers: HeaderList
    ) -> tuple[bytes, bytes] | None:
        """Return the head and the body of a response; None for a request of the framework.

        Args:
            method: method of the request.
            target: path and query of the request.
            fields: headers of the request, which has no body.
            server_headers: headers that the server adds to every response; a new list when they
                change, which is once a second.
        """
        begun_s = time.perf_counter()
        route = self._routes.find(target)
        method_name = _METHODS.get(method)
        if route is None or method_name is None or self._draining.has_begun:
            return None
        used = _used_headers(target, fields)
        if used is None or not route.is_allowed(used.get(b"authorization")):
            return None
        timeout = used.get(_TIMEOUT)
        if timeout is not None and not _is_valid_timeout(timeout):
            return None
        rendered = route.resource.rendered(used.get(b"accept-encoding"), used.get(b"if-none-match"))
        if rendered is None:
            return None
        if server_headers is not self._server_headers:
            self._server_headers, self._server_lines = server_headers, header_lines(server_headers)
        identifier, log_fields = _trace(used)
        head = b"".join(
            (
                _STATUS_LINES[rendered.status],
                self._server_lines,
                rendered.head,
                b"x-request-id: ",
                identifier.encode(),
                _TAIL,
            )
        )
        counters, log = route.outcome(method_name, rendered.status)
        duration_s = time.perf_counter() - begun_s
        counters.observe(duration_s)
        log.write(duration_s, log_fields)
        return head, b"" if method_name == "HEAD" else rendered.body


def _used_headers(target: bytes, fields: HeaderList) -> dict[bytes, bytes] | None:
    """Return the headers that change the response; None if the request is unusual."""
    size = len(target)
    used: dict[bytes, bytes] = {}
    for name, value in fields:
        size += len(name) + len(value)
        if name in _USED:
            if name in used:
                return None
            used[name] = value
        elif name in _UNUSUAL:
            return None
    return used if size <= MAX_HEADER_BYTES else None


def _trace(used: dict[bytes, bytes]) -> tuple[str, dict[str, str]]:
    """Return the id of a request, and the fields of its log line."""
    given = used.get(_REQUEST_ID)
    trace_parent = used.get(_TRACE_PARENT)
    if given is None and trace_parent is None:
        identifier = new_request_id()
        return identifier, {"request_id": identifier}
    identifier = id_from_header(None if given is None else given.decode("latin-1"))
    log_fields = {"request_id": REDACTOR.redact_text(identifier)}
    trace = parse_trace_id((trace_parent or b"").decode("latin-1"))
    if trace:
        log_fields["trace_id"] = REDACTOR.redact_text(trace)
    return identifier, log_fields


@lru_cache(maxsize=64)
def _is_valid_timeout(timeout: bytes) -> bool:
    """Return whether a timeout is valid; the framework decides about unusual ones."""
    return _VALID_TIMEOUT.fullmatch(timeout) is not None and float(timeout) > 0
