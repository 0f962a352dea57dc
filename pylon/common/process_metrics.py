"""Metrics that every process of the service exposes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
from pydantic_settings import SettingsConfigDict

from pylon.common.distribution import service_version
from pylon.common.environment_settings import EnvironmentSettings
from pylon_client.nats.nats_connection import ConnectionCounts

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
COMPONENT: Final = "component"
"""Label of the common metrics: it distinguishes two processes on one page of metrics."""

Labels = tuple[str, ...]
Values = Mapping[Labels, float]
"""Values of a metric by label values."""


class PrometheusSettings(EnvironmentSettings):
    """Settings of the Prometheus library, which are also read from `.env`.

    Attributes:
        disable_created_series: whether to leave out the `…_created` series.
    """

    model_config = SettingsConfigDict(env_prefix="PROMETHEUS_")

    disable_created_series: bool = False


class ConnectionStatus(Protocol):
    """The measured state of a connection to NATS."""

    @property
    def is_connected(self) -> bool:
        """Return whether the connection is established."""
        ...

    @property
    def counts(self) -> ConnectionCounts:
        """Return the counters of the connection."""
        ...


@dataclass(eq=False)
class CallbackMetric(Collector):
    """A metric whose values are read at each scrape.

    Attributes:
        name: the metric's name; for a counter without its suffix `_total`.
        help: the metric's help text.
        kind: the metric's type.
        labels: the names of its labels.
        read: returns the current values; empty by default.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge"] = "counter"
    labels: Labels = ()
    read: Callable[[], Values] = field(default=dict)

    def collect(self) -> Iterable[Metric]:
        """Return the current values."""
        family_of = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = family_of(self.name, self.help, labels=self.labels)
        for labels, value in self.read().items():
            family.add_metric(labels, value)
        yield family


@dataclass(eq=False)
class ComponentLabel(Collector):
    """Adds the label `component` to every sample of a registry.

    Attributes:
        inner: the registry.
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
        component: name of this process, `worker` or `bridge`.
        build: further labels of `pylon_build_info`.

    Attributes:
        registry: the registry of all metrics of this process.

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
        Info("pylon_build", "Version and role of this process", registry=shared).info(
            {"version": service_version(), **build}
        )
        self.registry.register(ComponentLabel(shared, component))
        of_nats = (COMPONENT,)
        self._connected = self.callback_metric(
            "pylon_nats_connected", "Whether this process is connected to NATS", "gauge", of_nats
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
            # Exposed before the first connection, so that a process without one is visible.
            reading.read = lambda: {(component,): 0.0}

    def callback_metric(
        self,
        name: str,
        help_text: str,
        kind: Literal["counter", "gauge"] = "counter",
        labels: Labels = (),
    ) -> CallbackMetric:
        """Register a metric whose `read` the caller sets later."""
        reading = CallbackMetric(name, help_text, kind, labels)
        self.registry.register(reading)
        return reading

    def watch_nats(self, *connections: ConnectionStatus) -> None:
        """Expose these connections to NATS as one, instead of the connections set before."""

        def total(count: Callable[[ConnectionStatus], int]) -> Callable[[], Values]:
            return lambda: {(self._component,): sum(map(count, connections))}

        self._connected.read = lambda: {
            (self._component,): float(all(each.is_connected for each in connections))
        }
        self._reconnects.read = total(lambda each: each.counts.reconnects)
        self._drops.read = total(lambda each: each.counts.slow_consumer_drops)
        self._permission_violations.read = total(lambda each: each.counts.permission_violations)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
