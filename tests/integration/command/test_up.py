"""`pylon up` where it cannot run: its errors, and the files that it does not change."""

import signal
import socket
from pathlib import Path

import pytest

from pylon.nats_server.embedded_server import EmbeddedNats
from tests.support.product.deployment import deployment_settings
from tests.support.product.eventually import eventually
from tests.support.product.free_ports import free_ports
from tests.support.product.process_output import NAME as KEPT_OUTPUT
from tests.support.product.pylon_command import command_environment, pylon_argv, pylon_command
from tests.support.product.service_process import service_process


def ports() -> dict[str, str]:
    """Return variables with free ports, as `make run` takes them."""
    names = ("PORT", "NATS_PORT", "DEVNET_PORT")
    return {name: str(port) for name, port in zip(names, free_ports(3), strict=True)}


@pytest.mark.parametrize(
    ("variables", "arguments", "says"),
    [
        ({"PORT": "99999"}, ["--devnet"], "'--port'"),
        ({"PORT": "0"}, ["--devnet"], "'--port'"),
        ({"NATS_PORT": "-1"}, [], "'--nats-port'"),
        ({"DEVNET_PORT": "65536"}, ["--devnet"], "'--devnet-port'"),
        ({}, ["--devnet", "--devnet-control-port", "0"], "'--devnet-control-port'"),
        ({"NATS_PORT": "4999", "PORT": "4999"}, [], "choose another with --nats-port (NATS_PORT)"),
        ({"PYLON_HOME": "/proc/x"}, ["--devnet"], "choose another --home (PYLON_HOME)"),
        ({"PYLON_HOME": "a-file"}, [], "choose another --home (PYLON_HOME)"),
        ({}, ["--host", "192.0.2.1"], "choose another with --host"),
        ({}, ["--nats-host", "192.0.2.1"], "choose another with --nats-host (PYLON_NATS_HOST)"),
        ({"PYLON_NATS_HOST": "a-name"}, [], "PYLON_NATS_HOST: must be an IP address"),
        ({}, ["--tempo", "5"], "--tempo (DEVNET_TEMPO) is for the simulated chain: add --devnet"),
        ({"DEVNET_SEED": "5"}, [], "--seed (DEVNET_SEED) is for the simulated chain"),
        ({}, ["--devnet", "--tempo", "0"], "'--tempo'"),
        (
            {"PYLON_STRICT_SETTINGS": "true", "PYLON_HOST": "x"},
            [],
            "PYLON_HOST is not a setting of Pylon and has no effect",
        ),
        ({}, ["--host", "2001:db8::1"], "choose another with --host"),
        ({}, ["--fresh"], "--fresh is for the simulated chain: add --devnet"),
        ({}, ["--devnet", "--devnet-runtime", "finney-1"], "it must be one of newest, finney-424"),
        ({"DEVNET_RUNTIME": "newest"}, [], "--devnet-runtime (DEVNET_RUNTIME) is for"),
        ({"DEVNET_CONTROL_PORT": "4998"}, [], "--devnet-control-port (DEVNET_CONTROL_PORT) is for"),
        ({"PYLON_BRIDGE_MAX_REQUESTS": "0"}, ["--devnet"], "PYLON_BRIDGE_MAX_REQUESTS: should"),
        ({"PYLON_BITTENSOR_NETWORK": "http://x"}, [], "PYLON_BITTENSOR_NETWORK: must be the name"),
    ],
)
async def test_invalid_options_are_reported_immediately(
    tmp_path: Path, variables: dict[str, str], arguments: list[str], says: str
) -> None:
    (here := tmp_path / "here").mkdir()
    (here / "a-file").touch()
    ended = await pylon_command(here, ports() | variables, "up", *arguments)
    assert ended.code in {1, 2}
    assert says in ended.err
    assert "Traceback" not in ended.err
    written = {path.name for path in here.iterdir()} - {KEPT_OUTPUT}
    assert written == {"a-file"}, "something was started"


@pytest.mark.parametrize(
    ("option", "host"),
    [("PORT", "::1"), ("PORT", "127.0.0.1"), ("DEVNET_CONTROL_PORT", "127.0.0.1")],
)
async def test_a_used_port_is_reported_with_its_option(
    tmp_path: Path, option: str, host: str
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        variables = ports() | {option: str(port)}
        ended = await pylon_command(tmp_path, variables, "up", "--devnet", "--host", host)
    assert ended.code == 1
    assert f"port {port} of {host} cannot be used (Address already in use)" in ended.err
    assert f"({option})" in ended.err
    assert ended.err.count("\n") == 1


async def test_fresh_does_not_change_the_state_of_another_running_instance(tmp_path: Path) -> None:
    # Where the home is, `.env` may say as well.
    (tmp_path / ".env").write_text("PYLON_HOME=its-home\n")
    state = tmp_path / "its-home" / "devnet"
    chain = state / "chain" / "blocks"
    async with EmbeddedNats(state, deployment_settings(), port=0):
        stream = state / "nats" / "jetstream" / "stream"
        for path in (chain, stream):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        ended = await pylon_command(tmp_path, ports(), "up", "--devnet", "--fresh")
        assert (stream.exists(), chain.exists()) == (True, True)
    assert ended.code == 1
    assert "another embedded NATS runs there" in ended.err
    assert "choose another --home (PYLON_HOME)" in ended.err
    assert ended.err.count("\n") == 1


async def test_an_unavailable_chain_is_reported_without_noise(
    tmp_path: Path,
) -> None:
    variables = ports() | {
        "PYLON_BITTENSOR_NETWORK": "ws://user:hunter2@127.0.0.1:1/hunter2",
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
        "PYLON_RECENT_OBJECTS_NETUIDS": "[1]",
    }
    output = tmp_path / "output"
    environment = command_environment(tmp_path, variables)
    async with service_process(pylon_argv("up"), tmp_path, environment) as process:
        waiting = "Waiting for the chain at ws://127.0.0.1:1\n"  # and more rarely, the longer it is
        await eventually(lambda: output.read_text().count(waiting) >= 2)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    text = output.read_text()
    assert "Cannot connect to ws://127.0.0.1:1: Connection refused (" in text
    assert "hunter2" not in text
    assert "bridge.access" not in text
    assert text.count("PYLON_RECENT_OBJECTS_NETUIDS changes nothing") == 1
