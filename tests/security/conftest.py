"""Every test here may use NATS with one server and with three."""

from tests.support.replicas import nats, nats_servers

__all__ = ["nats", "nats_servers"]
