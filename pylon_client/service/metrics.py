"""What the metrics of every process of the service have in common."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from typing import Final, Literal, Protocol

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from pydantic import SecretStr

from pylon_client.transport.connection import ConnectionCounts

DISTRIBUTION: Final = "pylon-client"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BEARER: Final = "Bearer "

Labels = tuple[str, ...]
Values = Mapping[Labels, float]
"""Values by the values of their labels."""


class NatsConnection(Protocol):
    """A connection to NATS as far as it is measured."""

    @property
    def is_connected(self) -> bool:
        """Whether a server is reachable right now."""
        ...

    @property
    def counts(self) -> ConnectionCounts:
        """What has happened on it."""
        ...


@dataclass(eq=False)
class Reading(Collector):
    """A metric whose values are kept elsewhere and read when somebody looks.

    Attributes:
        name: the metric's name; a counter's without its `_total`.
        help: what it tells.
        kind: whether it only ever grows.
        labels: the names of its labels.
        read: gives the values; there are none until it is set.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge"] = "counter"
    labels: Labels = ()
    read: Callable[[], Values] = field(default=dict)

    def collect(self) -> Iterable[Metric]:
        """The values of this moment."""
        family_of = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = family_of(self.name, self.help, labels=self.labels)
        for labels, value in self.read().items():
            family.add_metric(labels, value)
        yield family


class ProcessMetrics:
    """A registry of its own with what is told of every process: Python's, the build's, NATS's.

    Args:
        component: which process this is, `worker` or `bridge`.

    Attributes:
        registry: for all metrics of this process.
    """

    def __init__(self, component: str) -> None:
        self.registry: Final = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("pylon_build", "What runs here", registry=self.registry).info(
            {"version": version(DISTRIBUTION), "component": component}
        )
        self._connected = self.reading(
            "pylon_nats_connected", "Whether NATS is reachable right now", "gauge"
        )
        self._reconnects = self.reading(
            "pylon_nats_reconnects", "Times that a lost NATS server was found again"
        )
        self._drops = self.reading(
            "pylon_nats_slow_consumer_drops", "Messages dropped since nobody took them in time"
        )
        self._refusals = self.reading(
            "pylon_nats_permission_violations", "Publishes and subscriptions that NATS refused"
        )

    def reading(
        self,
        name: str,
        help_text: str,
        kind: Literal["counter", "gauge"] = "counter",
        labels: Labels = (),
    ) -> Reading:
        """A metric that is read elsewhere, from when its `read` is set."""
        reading = Reading(name, help_text, kind, labels)
        self.registry.register(reading)
        return reading

    def watch_nats(self, *connections: NatsConnection) -> None:
        """Show connections to NATS as one; they replace those shown before."""

        def total(count: Callable[[NatsConnection], int]) -> Callable[[], Values]:
            return lambda: {(): sum(map(count, connections))}

        self._connected.read = lambda: {(): float(all(each.is_connected for each in connections))}
        self._reconnects.read = total(lambda each: each.counts.reconnects)
        self._drops.read = total(lambda each: each.counts.slow_consumer_drops)
        self._refusals.read = total(lambda each: each.counts.permission_violations)

    def text(self) -> bytes:
        """All metrics, in the text format of Prometheus."""
        return generate_latest(self.registry)


def metrics_refusal(authorization: str | None, token: SecretStr) -> str | None:
    """Why the metrics are not shown to a caller, or None where they are.

    Args:
        authorization: the header `Authorization` of the request.
        token: what callers must present; nobody may look where it is empty.
    """
    secret = token.get_secret_value()
    if not secret:
        return "Metrics endpoint is not configured"
    if not authorization:
        return "Authorization header is required"
    if not authorization.startswith(_BEARER):
        return "Invalid Authorization header format. Expected: Bearer <token>"
    presented = authorization.removeprefix(_BEARER).encode("latin-1", "replace")
    # Digests have one length, and so the comparison tells nothing of the token's.
    if not hmac.compare_digest(sha256(presented).digest(), sha256(secret.encode()).digest()):
        return "Invalid authorization token"
    return None
