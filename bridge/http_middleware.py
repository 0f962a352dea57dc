"""The bridge's middleware: all concerns of every request in one pass."""

import logging
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.access_log import HEALTH_PATHS, log_request
from bridge.draining import CLOSE_HEADER, DrainState
from bridge.head_method import as_get
from bridge.header_limit import exceeds_header_limit, header_limit_response
from bridge.http_metrics import BridgeMetrics
from bridge.problems import problem_response
from bridge.request_tracing import REQUEST_ID_HEADER, STATE_KEY, id_from_header
from bridge.root_path import add_root_path, route_path
from bridge.security_headers import security_headers
from pylon.common.logs import bind_log_fields, parse_trace_id, reset_log_fields
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.headers import TRACE_PARENT

logger = logging.getLogger(__name__)


class HttpMiddleware:
    """Middleware that does for each request what does not depend on its route.

    It adds the prefix of a proxy, assigns the request id, limits the size of the headers, removes
    trailing slashes, handles HEAD as GET, handles unexpected exceptions, adds common headers to the
    response, counts and times the request and writes the access log. Trailing slashes are removed
    without a redirect, which would make callers send their tokens twice.

    Args:
        app: the wrapped app.
        metrics: metrics to update.
        draining: drain state of this bridge.
        root_path: path prefix under which a proxy publishes the bridge; may be empty.
    """

    def __init__(
        self, app: ASGIApp, metrics: BridgeMetrics, draining: DrainState, root_path: str = ""
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._draining = draining
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s = time.perf_counter()
        if self._root_path:
            add_root_path(scope, self._root_path)
        headers = Headers(scope=scope)
        identifier = id_from_header(headers.get(REQUEST_ID_HEADER))
        scope.setdefault("state", {})[STATE_KEY] = identifier
        trace = parse_trace_id(headers.get(TRACE_PARENT, ""))
        log_token = bind_log_fields(request_id=identifier, trace_id=trace)
        common_headers = (
            (REQUEST_ID_HEADER.lower().encode(), identifier.encode()),
            *security_headers(route_path(scope)),
        )
        scope["path"] = scope["path"].rstrip("/") or "/"
        is_head = scope["method"] == "HEAD"
        status = 0

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                closing = (CLOSE_HEADER,) if self._draining.has_begun else ()
                message["headers"] = [*message.get("headers", ()), *common_headers, *closing]
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            if exceeds_header_limit(scope):
                await header_limit_response()(scope, receive, send_completed)
            else:
                await self._app(as_get(scope) if is_head else scope, receive, send_completed)
        except Exception:
            logger.exception("Request %s failed with an unexpected exception", identifier)
            if status:
                raise
            failure = FailureError(ErrorCode.INTERNAL, "Internal Server Error").failure
            await problem_response(failure)(scope, receive, send_completed)
        finally:
            duration_s = time.perf_counter() - begun_s
            is_health = route_path(scope) in HEALTH_PATHS
            level = logging.DEBUG if is_health else logging.INFO
            log_request(level, scope["method"], scope["path"], status or None, duration_s)
            self._metrics.outcome_of(scope, status).observe(duration_s)
            reset_log_fields(log_token)
