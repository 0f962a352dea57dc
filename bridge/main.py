"""Composition of the bridge: the FastAPI app and the server process."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
import uvloop
from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from pydantic_settings import SettingsError
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bridge.auth import Authenticator
from bridge.connection import BridgeConnection, NatsPort, bridge_connection_options
from bridge.draining import DrainState
from bridge.event_buffers import EventBuffers
from bridge.fast_lane.fast_lane import FastLane
from bridge.fast_lane.hot_routes import HotRoutes
from bridge.http_metrics import BridgeMetrics
from bridge.http_middleware import HttpMiddleware
from bridge.job_streams import JobStreams
from bridge.limited_http_protocol import limited_http_protocol
from bridge.memory.event_follower import EventFollower
from bridge.memory.memory_reads import MemoryReads
from bridge.open_connections import ConnectionTracker, connection_limit
from bridge.problems import add_exception_handlers
from bridge.response_builder import ResponseBuilder
from bridge.routes import api_documents
from bridge.routes.job_stream_route import add_job_stream_route
from bridge.routes.login import add_login_routes
from bridge.routes.metrics_route import add_metrics_route
from bridge.routes.operation_routes import add_operation_routes
from bridge.routes.route_index import RouteIndex
from bridge.routes.service_routes import add_service_routes
from bridge.routes.stream_routes import add_stream_routes
from bridge.settings import BridgeSettings
from bridge.sse_response import StreamCounts
from pylon.common.admission import OPEN_CALLER, Admission
from pylon.common.logs import set_up_logging
from pylon.common.redaction import REDACTOR, collect_secrets
from pylon.common.sentry import set_up_sentry
from pylon.common.task_supervisor import TaskSupervisor
from pylon.common.variable_checks import check_variables
from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import CONTRACT_VERSION

logger = logging.getLogger("bridge")

EXIT_FAILURE: Final = 1
FAIL_PENDING_BEFORE_END_S: Final = 1
"""Time before the end of the grace period at which pending requests fail, in seconds."""
STREAMS_DIVISOR: Final = 4
"""Divisor of the connection limit: streams of one kind use at most a quarter of it."""
KEEP_ALIVE_TIMEOUT_S: Final = 75
"""Idle timeout of connections, in seconds.

It exceeds the idle timeouts of clients and load balancers: if the server closed a connection first,
a request sent at that moment would get no response.
"""


class ListenError(Exception):
    """The bridge cannot listen on the configured address."""


def create_memory(settings: BridgeSettings, nats: NatsPort) -> MemoryReads:
    """Return an empty memory, which an `EventFollower` fills."""
    return MemoryReads(
        block_duration_s=settings.block_duration_seconds,
        recent_limit_blocks=settings.recent_objects_hard_limit_blocks,
        is_connected=lambda: nats.is_connected,
    )


def create_follower(
    settings: BridgeSettings, nats: BridgeConnection, memory: MemoryReads
) -> EventFollower:
    """Return the part that fills the memory from the published events."""
    return EventFollower(
        nats.wait_connected, memory, block_duration_s=settings.block_duration_seconds
    )


def create_app(
    settings: BridgeSettings,
    nats: NatsPort,
    metrics: BridgeMetrics | None = None,
    max_streams: int | None = None,
    draining: DrainState | None = None,
    memory: MemoryReads | None = None,
) -> FastAPI:
    """Create the REST API, which sends its requests over `nats`.

    Args:
        settings: settings of the bridge.
        nats: connection to NATS.
        metrics: metrics to update.
        max_streams: maximum number of streams of each kind, if less than the setting.
        draining: drain state of the process.
        memory: replies that are served without a worker; by default it stays empty.

    Raises:
        SettingsError: settings of an identity are missing or invalid.
    """
    metrics = metrics or BridgeMetrics()
    app = FastAPIOffline(
        dependencies=[Depends(metrics.track_route)],
        title="Pylon",
        description="Reads of the Bittensor chain, durable writes to it, and streams of both.",
        version=CONTRACT_VERSION,
        openapi_url=api_documents.OPENAPI_PATH,
        docs_url=api_documents.SWAGGER_PATH,
        redoc_url=None,
        static_url=api_documents.ASSETS_PATH,
        swagger_ui_oauth2_redirect_url=api_documents.OAUTH_PATH,
        # By default the page sends the schema's URL to a validator on the internet.
        swagger_ui_parameters={"validatorUrl": None},
        # HttpMiddleware removes trailing slashes, so no redirect is needed.
        redirect_slashes=False,
    )
    draining = draining or DrainState()
    memory = memory or create_memory(settings, nats)
    metrics.watch_memory(lambda: memory.is_fresh)
    read_replies = metrics.read_replies
    # The middleware added last handles a request first.
    app.add_middleware(
        HttpMiddleware, metrics=metrics, draining=draining, root_path=settings.bridge_root_path
    )
    if settings.bridge_trusted_proxies:
        app.add_middleware(
            ProxyHeadersMiddleware, trusted_hosts=list(map(str, settings.bridge_trusted_proxies))
        )
    authenticator = Authenticator(settings)
    event_buffers = EventBuffers(nats.follow)
    job_streams = JobStreams()

    def close_streams() -> None:
        event_buffers.close()
        job_streams.close()

    app.state.close_streams = close_streams
    response_builder = ResponseBuilder()
    app.state.fast_lane = FastLane(
        HotRoutes(
            settings, authenticator, memory, response_builder, metrics, lambda: nats.is_connected
        ),
        draining,
    )
    stream_counts = StreamCounts()
    metrics.watch_streams(stream_counts, event_buffers)
    stream_limit = min(settings.bridge_max_streams, max_streams or settings.bridge_max_streams)
    # Separate limits: event streams do not use up the streams of an identity's own jobs.
    callers = (OPEN_CALLER, *settings.identity_settings)
    event_stream_admission = Admission(stream_limit, callers, resource="streams open")
    job_stream_admission = Admission(
        stream_limit, settings.identity_settings, resource="streams open"
    )
    # Routes of an included router would be analysed twice: FastAPI does it again for the app's
    # dependencies at the first request, which takes as long as the rest of the start.
    router = app.router
    add_operation_routes(
        router,
        settings,
        authenticator,
        nats,
        memory,
        response_builder,
        count_read=lambda source: read_replies.labels(source).inc(),
    )
    add_stream_routes(
        router, authenticator, nats, event_stream_admission, event_buffers, stream_counts
    )
    add_job_stream_route(
        router, authenticator, nats, job_stream_admission, job_streams, stream_counts
    )
    add_metrics_route(router, settings, metrics)
    add_login_routes(router, authenticator)
    add_service_routes(router, settings, nats)
    api_documents.add_schema_route(router)
    add_exception_handlers(app)
    api_documents.add_examples_to_schema(app, settings.identity_settings)
    router.middleware_stack = RouteIndex(router)
    return app


class BridgeServer(uvicorn.Server):
    """A server that drains before it stops, and fails pending requests at the end.

    Args:
        config: configuration of the server.
        draining: drain state, changed by the first stop signal.
        drain_s: duration of the drain in seconds; a second signal ends it.
        close_streams: ends all streams.
        fail_pending: fails all requests that wait for NATS.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        draining: DrainState,
        drain_s: float,
        close_streams: Callable[[], object],
        fail_pending: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self._draining = draining
        self._drain_s = drain_s
        self._drain_end_s = float("inf")
        self._close_streams = close_streams
        self._fail_pending = fail_pending

    def stop(self) -> None:
        """Stop after the next tick."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to drain at the first signal; stop at the second one."""
        if self._drain_s and not self._draining.has_begun:
            logger.info("Draining: serving requests for another %g s", self._drain_s)
            self._draining.has_begun = True
            self._drain_end_s = time.monotonic() + self._drain_s
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Stop when the drain has ended; return whether to exit."""
        if time.monotonic() >= self._drain_end_s:
            self.stop()
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, and log the address."""
        await super().startup(sockets)
        for listening_socket in sockets or []:
            host, port = listening_socket.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            logger.info("Serving REST on http://%s:%d", shown, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, and fail requests that are still pending when the grace period ends."""
        logger.info("Stopping: %d requests in progress", len(self.server_state.tasks))
        self._close_streams()
        grace_s = self.config.timeout_graceful_shutdown or 0
        giving_up = asyncio.get_running_loop().call_later(
            grace_s - FAIL_PENDING_BEFORE_END_S, self._fail_pending
        )
        await super().shutdown(sockets)
        giving_up.cancel()


async def _serve(settings: BridgeSettings, listening_socket: socket.socket) -> None:
    nats = BridgeConnection(bridge_connection_options(settings))
    metrics = BridgeMetrics()
    metrics.watch_nats(nats)
    connection_tracker = ConnectionTracker(connection_limit(settings.bridge_max_connections))
    metrics.watch_connections(connection_tracker)
    draining = DrainState()
    max_streams = max(1, connection_tracker.limit // STREAMS_DIVISOR)
    memory = create_memory(settings, nats)
    app = create_app(settings, nats, metrics, max_streams, draining, memory)
    config = uvicorn.Config(
        app,
        http=limited_http_protocol(connection_tracker, fast_lane=app.state.fast_lane),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT_S,
        timeout_graceful_shutdown=settings.bridge_graceful_shutdown_seconds,
    )
    supervisor = TaskSupervisor(lambda error: isinstance(error, FailureError))
    metrics.watch_parts(supervisor)
    connection_task = asyncio.create_task(
        supervisor.supervise("connection to NATS", nats.keep_connected)
    )
    follower = create_follower(settings, nats, memory)
    memory_task = asyncio.create_task(supervisor.supervise("memory", follower.run))
    server = BridgeServer(
        config,
        draining=draining,
        drain_s=settings.bridge_drain_seconds,
        close_streams=app.state.close_streams,
        fail_pending=connection_task.cancel,
    )
    connection_task.add_done_callback(lambda _ended: server.stop())
    # uvicorn raises the signals that it received again after its shutdown. These handlers keep the
    # process alive until the NATS connection is closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _signal, _frame: server.stop())
    await server.serve([listening_socket])
    memory_task.cancel()
    await asyncio.gather(memory_task, return_exceptions=True)
    connection_task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await connection_task


def run() -> int:
    """Serve until SIGINT or SIGTERM, finish requests in progress, and return the exit code."""
    try:
        set_up_logging()
        settings = BridgeSettings()
        REDACTOR.add_secrets(collect_secrets(settings))
        set_up_sentry(settings, "bridge")
        check_variables(settings)
        with (
            _listen(settings) as listening_socket,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_serve(settings, listening_socket))
    except SettingsError as error:
        for mistake in str(error).splitlines():
            logger.error("A setting is wrong: %s", mistake)  # noqa: TRY400 -- says it all
    except (ListenError, FailureError) as error:
        logger.error("The bridge cannot run: %s", error)  # noqa: TRY400 -- says it all
    else:
        return 0
    return EXIT_FAILURE


def _listen(settings: BridgeSettings) -> socket.socket:
    host, port = settings.bridge_host, settings.bridge_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ListenError(f"it cannot listen on {host} port {port}: {error.strerror}") from None
