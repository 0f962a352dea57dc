"""Metrics that every process exposes."""

from pylon.common.process_metrics import ProcessMetrics
from pylon_client.nats.nats_connection import ConnectionCounts


class Status:
    """The status of a connection."""

    def __init__(self, reconnects: int, *, is_connected: bool) -> None:
        self.is_connected = is_connected
        self.counts = ConnectionCounts(reconnects=reconnects)


def test_before_the_first_connection_nats_is_shown_as_not_connected() -> None:
    metrics = ProcessMetrics("worker")
    labels = {"component": "worker"}
    assert metrics.registry.get_sample_value("pylon_nats_connected", labels) == 0
    assert metrics.registry.get_sample_value("pylon_nats_reconnects_total", labels) == 0


def test_several_connections_are_shown_as_one() -> None:
    metrics = ProcessMetrics("worker")
    metrics.watch_nats(Status(1, is_connected=True), Status(2, is_connected=False))
    labels = {"component": "worker"}
    assert metrics.registry.get_sample_value("pylon_nats_connected", labels) == 0
    assert metrics.registry.get_sample_value("pylon_nats_reconnects_total", labels) == 3


def test_common_metrics_have_the_label_component() -> None:
    text = ProcessMetrics("bridge", role="x").text().decode()
    assert 'pylon_build_info{component="bridge",role="x"' in text
    assert 'process_resident_memory_bytes{component="bridge"}' in text
