"""Check that the ports of all processes are free."""

import contextlib
import errno
import socket

from pylon.cli.up.up_options import LOOPBACK, UpError, UpOptions

_PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES)


def require_free_ports(options: UpOptions) -> None:
    """Raise unless all ports are free, before any process starts.

    Raises:
        UpError: a port cannot be used; the text names the option to change.
    """
    places = [
        (options.host, options.port, "--host", "--port (PORT)"),
        (
            options.nats_host,
            options.nats_port,
            "--nats-host (PYLON_NATS_HOST)",
            "--nats-port (NATS_PORT)",
        ),
        (LOOPBACK, options.devnet_port, "", "--devnet-port (DEVNET_PORT)"),
        (LOOPBACK, options.control_port, "", "--devnet-control-port (DEVNET_CONTROL_PORT)"),
    ]
    with contextlib.ExitStack() as stack:
        for host, port, of_host, of_port in places:
            if port is not None:
                # Keep them open, so that two options with the same port are detected.
                stack.enter_context(_bind(host, port, of_host, of_port))


def _bind(host: str, port: int, host_option: str, port_option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # without the repeated address
        if error.errno in _PORT_ERRORS:
            why, remedy = (
                f"port {port} of {host} cannot be used",
                f"choose another with {port_option}",
            )
        else:
            why, remedy = (
                f"{host} is not an address of this machine",
                f"choose another with {host_option}",
            )
        raise UpError(f"{why} ({reason}); {remedy}") from None
