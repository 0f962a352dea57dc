"""What the image's healthcheck asks, which depends on what a container runs."""

import socket
from collections.abc import Mapping

import pytest

from pylon.cli.container_health import check, health_url

INIT = ["/sbin/docker-init", "--"]
PYTHON = "/opt/pylon/bin/python"
PYLON = [PYTHON, "/opt/pylon/bin/pylon"]
BRIDGE = [PYTHON, "-m", "bridge"]


@pytest.mark.parametrize(
    ("command", "environment", "expected"),
    [
        ([*PYLON, "up", "--host", "0.0.0.0"], {}, "http://127.0.0.1:8000/health"),
        ([*PYLON, "up"], {"PORT": "8010"}, "http://127.0.0.1:8010/health"),
        ([*PYLON, "up", "--port", "8020"], {"PORT": "8010"}, "http://127.0.0.1:8020/health"),
        ([*PYLON, "up", "--devnet"], {"PYLON_HEALTH_PORT": "8081"}, "http://127.0.0.1:8000/health"),
        (BRIDGE, {}, "http://127.0.0.1:8000/health"),
        (BRIDGE, {"PYLON_BRIDGE_PORT": "80", "PORT": "1"}, "http://127.0.0.1:80/health"),
        ([*PYLON, "worker"], {"PYLON_HEALTH_PORT": "8081"}, "http://127.0.0.1:8081/livez"),
        ([*PYLON, "worker"], {}, None),
        ([*INIT, *PYLON, "devnet", "--host", "0.0.0.0"], {}, "tcp://127.0.0.1:9944"),
        ([*PYLON, "devnet", "--port=9955"], {}, "tcp://127.0.0.1:9955"),
    ],
)
def test_what_runs_is_asked(
    command: list[str], environment: Mapping[str, str], expected: str | None
) -> None:
    assert health_url(command, environment) == expected


def test_a_port_is_healthy_while_it_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        check(url)
    with pytest.raises(OSError, match="refused"):
        check(url)
