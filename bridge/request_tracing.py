"""Request ids, access log, and the response for unexpected exceptions."""

import logging
import re
import time
import uuid
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.problems import problem_response
from bridge.root_path import route_path
from pylon.common.logs import bind_log_fields, parse_trace_id, reset_log_fields
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.headers import TRACE_PARENT

REQUEST_ID_HEADER: Final = "X-Request-Id"

access_logger = logging.getLogger("bridge.access")
logger = logging.getLogger(__name__)
_HEALTH_PATHS: Final = frozenset({"/health", "/health/ready"})
"""Paths of health checks, which are logged at DEBUG only: they arrive every few seconds."""
_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id(request: Request) -> str:
    """Return the request's id, as used in logs, in headers and on NATS."""
    identifier: str = request.state.request_id
    return identifier


class RequestTracing:
    """Middleware that assigns request ids, writes the access log and handles unexpected exceptions.

    The caller's `X-Request-Id` is used if it is safe in headers and logs. Trailing slashes are
    removed, since a redirect would make callers send their tokens twice. The access log contains
    method, path, status and duration, and of the headers only the id. Health checks are logged at
    DEBUG.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = _request_id_from_header(Headers(scope=scope).get(REQUEST_ID_HEADER))
        scope.setdefault("state", {})["request_id"] = identifier
        trace = parse_trace_id(Headers(scope=scope).get(TRACE_PARENT, ""))
        log_token = bind_log_fields(request_id=identifier, trace_id=trace)
        scope["path"] = scope["path"].rstrip("/") or "/"
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = identifier
            await send(message)

        started = time.monotonic()
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("Request %s failed with an unexpected exception", identifier)
            if status is not None:
                raise
            failure = FailureError(ErrorCode.INTERNAL, "Internal Server Error").failure
            await problem_response(failure)(scope, receive, send_with_id)
        finally:
            access_logger.log(
                logging.DEBUG if route_path(scope) in _HEALTH_PATHS else logging.INFO,
                "method=%s path=%s status=%s duration_ms=%.1f",
                scope["method"],
                quote(scope["path"]),
                status or "none",
                (time.monotonic() - started) * 1000,
            )
            reset_log_fields(log_token)


def _request_id_from_header(header: str | None) -> str:
    if header is not None and _SAFE_REQUEST_ID.fullmatch(header):
        return header
    return uuid.uuid4().hex
