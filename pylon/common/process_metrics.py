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
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from pylon.common.environment_settings import EnvironmentSettings
from pylon_client.nats.nats_connection import ConnectionCounts

DISTRIBUTION: Final = "pylon-service"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
COMPONENT: Final = "component"
"""Label of what every process exposes: with it, one page may hold the metrics of two processes."""
_BEARER: Final = "Bearer "

Labels = tuple[str, ...]
Values = Mapping[Labels, float]
"""Values by the values of their labels."""


class PrometheusSettings(EnvironmentSettings):
    """Settings that the Prometheus library defines; here they may be in `.env` as well.

    Attributes:
        disable_created_series: whether to leave out the `…_created` series.
    """

    model_config = SettingsConfigDict(env_prefix="PROMETHEUS_")

    disable_created_series: bool = False


class ConnectionStatus(Protocol):
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
class CallbackMetric(Collector):
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


@dataclass(eq=False)
class ComponentLabel(Collector):
    """Metrics of a registry with the label `component` on each of their samples.

    Attributes:
        inner: the metrics.
        component: the label's value.
    """

    inner: CollectorRegistry
    component: str

    def collect(self) -> Iterable[Metric]:
        """Return the current values."""
        for family in self.inner.collect():
            family.samples = [
                sample._replace(labels={**sample.labels, COMPONENT: self.component})
                for sample in family.samples
            ]
            yield family


class ProcessMetrics:
    """Metrics that every process exposes: of Python, of the build and of NATS.

    All of them have the label `component`.

    Args:
        component: which process this is, `worker` or `bridge`.
        build: further labels of `pylon_build_info`.

    Attributes:
        registry: for all metrics of this process.

    Raises:
        SettingsError: a setting of the Prometheus library is wrong.
    """

    def __init__(self, component: str, **build: str) -> None:
        if PrometheusSettings().disable_created_series:
            disable_created_metrics()
        self.registry: Final = CollectorRegistry()
        self._component = component
        shared = CollectorRegistry()
        ProcessCollector(registry=shared)
        PlatformCollector(registry=shared)
        GCCollector(registry=shared)
        Info("pylon_build", "What runs here", registry=shared).info(
            {"version": version(DISTRIBUTION), **build}
        )
        self.registry.register(ComponentLabel(shared, component))
        of_nats = (COMPONENT,)
        self._connected = self.callback_metric(
            "pylon_nats_connected", "Whether NATS is reachable right now", "gauge", of_nats
        )
        self._reconnects = self.callback_metric(
            "pylon_nats_reconnects", "Reconnects to NATS after a lost connection", labels=of_nats
        )
        self._drops = self.callback_metric(
            "pylon_nats_slow_consumer_drops",
            "Messages dropped because they were not read in time",
            labels=of_nats,
        )
        self._permission_violations = self.callback_metric(
            "pylon_nats_permission_violations",
            "Publishes and subscriptions that NATS refused",
            labels=of_nats,
        )
        for reading in (
            self._connected,
            self._reconnects,
            self._drops,
            self._permission_violations,
        ):
            # Known before the first connection, so that a process that never gets one is seen.
            reading.read = lambda: {(component,): 0.0}

    def callback_metric(
        self,
        name: str,
        help_text: str,
        kind: Literal["counter", "gauge"] = "counter",
        labels: Labels = (),
    ) -> CallbackMetric:
        """A metric that is read elsewhere, from when its `read` is set."""
        reading = CallbackMetric(name, help_text, kind, labels)
        self.registry.register(reading)
        return reading

    def watch_nats(self, *connections: ConnectionStatus) -> None:
        """Show connections to NATS as one; they replace those shown before."""

        def total(count: Callable[[ConnectionStatus], int]) -> Callable[[], Values]:
            return lambda: {(self._component,): sum(map(count, connections))}

        self._connected.read = lambda: {
            (self._component,): float(all(each.is_connected for each in connections))
        }
        self._reconnects.read = total(lambda each: each.counts.reconnects)
        self._drops.read = total(lambda each: each.counts.slow_consumer_drops)
        self._permission_violations.read = total(lambda each: each.counts.permission_violations)

    def text(self) -> bytes:
        """All metrics, in the text format of Prometheus."""
        return generate_latest(self.registry)


def metrics_access_error(authorization: str | None, token: SecretStr) -> str | None:
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
