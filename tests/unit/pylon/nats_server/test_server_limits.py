"""The limits of a nats-server bound its memory."""

from pylon.nats_server import server_limits
from pylon.nats_server.server_limits import LIMITS, MIB, limits_text

MANIFEST_BYTES = 4096 * MIB
"""Memory of a nats-server in the manifests."""


def test_all_connections_at_all_limits_fit_into_the_memory() -> None:
    most_bytes = server_limits.MAX_CONNECTIONS * server_limits.CONNECTION_BYTES
    assert most_bytes + server_limits.SERVER_BYTES <= MANIFEST_BYTES


def test_the_limit_of_the_garbage_collector_is_below_the_memory() -> None:
    assert int(server_limits.GO_MEMORY_LIMIT.removesuffix("MiB")) * MIB < MANIFEST_BYTES


def test_each_limit_is_a_line_of_the_configuration() -> None:
    lines = limits_text().splitlines()
    assert lines == [f"{name}: {value}" for name, value in LIMITS.items()]
    assert "max_payload: 1048576" in lines
