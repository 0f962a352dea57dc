import socket
from pathlib import Path

import pytest

from pylon.cli.up.ports import require_free_ports
from pylon.cli.up.up_options import UpError, UpOptions


def options(port: int, nats_port: int, host: str = "127.0.0.1") -> UpOptions:
    return UpOptions(
        home=Path(".pylon"),
        host=host,
        port=port,
        nats_host="127.0.0.1",
        nats_port=nats_port,
        devnet_port=None,
        control_port=None,
        devnet_runtime=None,
        devnet_tempo=None,
        devnet_seed=None,
        block_time_s=12.0,
        fresh=False,
    )


def test_free_ports_are_accepted() -> None:
    require_free_ports(options(0, 0))


def test_a_used_port_names_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(UpError, match=rf"port {port} of 127.0.0.1 .* --nats-port"):
            require_free_ports(options(0, port))


def test_two_options_with_the_same_port_are_rejected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
    with pytest.raises(UpError, match=f"port {port} of 127.0.0.1"):
        require_free_ports(options(port, port))


def test_an_address_of_another_machine_names_the_host_option() -> None:
    with pytest.raises(UpError, match=r"192\.0\.2\.1 is not an address of this machine .* --host"):
        require_free_ports(options(0, 0, host="192.0.2.1"))
