"""Prometheus metrics of the bridge: requests, streams and connections."""

from collections.abc import AsyncGenerator, Callable
from typing import Final

from fastapi import Request
from prometheus_client import Counter, Gauge, Histogram
from starlette.types import Scope

from bridge.event_buffers import EventBuffers
from bridge.open_connections import CloseReason, ConnectionTracker
from bridge.sse_response import StreamCounts
from pylon.common.process_metrics import ProcessMetrics
from pylon.common.task_supervisor import TaskSupervisor
from pylon_client.contract.headers import SOURCE_MEMORY, SOURCE_WORKER

APP_NAME: Final = "bittensor-pylon"
"""Label `app_name` of the published service."""
UNMATCHED: Final = "unmatched"
"""Label `path` of requests without a route: arbitrary paths must not become label values."""
FIRST_ERROR_STATUS: Final = 500
_LABELS: Final = ("method", "path", "status_code", "app_name")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)


class BridgeMetrics(ProcessMetrics):
    """The metrics of one bridge."""

    def __init__(self) -> None:
        super().__init__("bridge")
        registry = self.registry
        self.requests = Counter(
            "pylon_requests_total", "HTTP requests that have ended", _LABELS, registry=registry
        )
        self.errors = Counter(
            "pylon_requests_error_total",
            "HTTP requests that ended with a status of 500 or more, or without one",
            _LABELS,
            registry=registry,
        )
        self.duration_s = Histogram(
            "pylon_request_duration_seconds",
            "Duration of HTTP requests in seconds; of a stream, from its start to its end",
            _LABELS,
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.in_progress = Gauge(
            "pylon_requests_in_progress",
            "HTTP requests in progress; they have no status yet",
            _LABELS,
            registry=registry,
        )
        self._outcomes: dict[tuple[str, str, int], RequestOutcome] = {}
        self._open_streams = self.callback_metric(
            "pylon_bridge_streams", "Streams of events that are open", "gauge"
        )
        self._fell_behind = self.callback_metric(
            "pylon_bridge_streams_fell_behind", "Times that a slow listener missed events"
        )
        self._timed_out_streams = self.callback_metric(
            "pylon_bridge_streams_given_up",
            "Listeners that were disconnected because they read nothing",
        )
        self._unreadable = self.callback_metric(
            "pylon_bridge_unreadable_events",
            "Events that could not be decoded, and were skipped",
        )
        self._part_restarts = self.callback_metric(
            "pylon_bridge_part_restarts",
            "Restarts of parts of this bridge that failed, by part",
            labels=("part",),
        )
        self.read_replies = Counter(
            "pylon_bridge_read_replies_total",
            "Successful replies to reads by source: the bridge's memory or a worker",
            ("source",),
            registry=registry,
        )
        for source in (SOURCE_MEMORY, SOURCE_WORKER):
            self.read_replies.labels(source)  # exposed as 0, so that the first increase is visible
        self._memory_fresh = self.callback_metric(
            "pylon_bridge_memory_fresh",
            "Whether the newest block in the bridge's memory is fresh, so that reads are served "
            "from there",
            "gauge",
        )
        self._worker_up = self.callback_metric(
            "pylon_bridge_worker_up",
            "Whether the worker on this machine returned its metrics for this page",
            "gauge",
        )
        self._connections = self.callback_metric(
            "pylon_bridge_connections",
            "Client connections by stage",
            "gauge",
            labels=("stage",),
        )
        self._closed_connections = self.callback_metric(
            "pylon_bridge_refused_connections",
            "Rejected and closed client connections by reason",
            labels=("reason",),
        )

    def watch_worker(self, is_up: Callable[[], bool]) -> None:
        """Show whether the worker on this machine returned its metrics."""
        self._worker_up.read = lambda: {(): float(is_up())}

    def watch_memory(self, is_fresh: Callable[[], bool]) -> None:
        """Show whether the newest block in the bridge's memory is fresh."""
        self._memory_fresh.read = lambda: {(): float(is_fresh())}

    def watch_parts(self, supervisor: TaskSupervisor) -> None:
        """Show the restarts of the bridge's parts."""
        self._part_restarts.read = lambda: {
            (part,): count for part, count in supervisor.restarts.items()
        }

    def watch_connections(self, connections: ConnectionTracker) -> None:
        """Show the connections of clients."""
        self._connections.read = lambda: {
            (str(stage),): count for stage, count in connections.counts_by_stage.items()
        }
        self._closed_connections.read = lambda: {
            (str(reason),): connections.closed_by_reason[reason] for reason in CloseReason
        }

    def watch_streams(self, counts: StreamCounts, buffers: EventBuffers) -> None:
        """Show the event streams."""
        self._unreadable.read = lambda: {(): buffers.unreadable}
        self._open_streams.read = lambda: {(): counts.open_streams}
        self._fell_behind.read = lambda: {(): counts.fell_behind}
        self._timed_out_streams.read = lambda: {(): counts.timed_out}

    def requests_in_progress(self, method: str, path: str) -> Gauge:
        """Return the number of requests in progress of a method and route."""
        return self.in_progress.labels(_known_method(method), path, "", APP_NAME)

    def outcome(self, method: str, path: str, status: int) -> "RequestOutcome":
        """Return the counters of requests.

        Args:
            method: method of the requests.
            path: path of their route.
            status: status of the responses; 0 without a response.
        """
        key = (method, path, status)
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = RequestOutcome(self, *key)
            if method in _METHODS:  # arbitrary methods must not fill the memory
                self._outcomes[key] = outcome
        return outcome

    def outcome_of(self, scope: Scope, status: int) -> "RequestOutcome":
        """Return the counters of a request that ended with a status, or 0 without a response."""
        path = scope.get("state", {}).get("metrics_path", UNMATCHED)
        return self.outcome(scope["method"], path, status)

    async def track_route(self, request: Request) -> AsyncGenerator[None]:
        """Label a request with its route, and count it as in progress."""
        path: str = request.scope["route"].path
        request.state.metrics_path = path
        running = self.requests_in_progress(request.scope["method"], path)
        running.inc()
        try:
            yield
        finally:
            running.dec()


class RequestOutcome:
    """Counts and times the requests of one method, route and status.

    Args:
        metrics: metrics to update.
        method: method of the requests.
        path: path of the route.
        status: status of the responses; 0 without a response.
    """

    def __init__(self, metrics: BridgeMetrics, method: str, path: str, status: int) -> None:
        labels = (_known_method(method), path, str(status or ""), APP_NAME)
        self._requests = metrics.requests.labels(*labels)
        self._duration_s = metrics.duration_s.labels(*labels)
        is_error = not status or status >= FIRST_ERROR_STATUS
        self._errors = metrics.errors.labels(*labels) if is_error else None

    def observe(self, duration_s: float) -> None:
        """Count a request that has ended, and its duration in seconds."""
        self._requests.inc()
        self._duration_s.observe(duration_s)
        if self._errors is not None:
            self._errors.inc()


def _known_method(method: str) -> str:
    return method if method in _METHODS else "OTHER"
