"""`pylon check` as an operator calls it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from pylon.cli.up import devnet_identities
from pylon.jetstream.provision import provision_streams
from pylon.nats_server.permissions import authorization_config
from pylon_client.contract.subjects import WORKER_USER
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.clocks import skewed_clock
from tests.support.product.deployment import BRIDGE_PASSWORD, WORKER_PASSWORD, deployment_settings
from tests.support.product.pylon_command import pylon_command
from tests.support.product.secret_texts import MARK, SHORT_SECRET, with_keys
from tests.support.product.worker_process import READY, worker_process


@dataclass
class Deployment:
    """A NATS with users, a chain, wallets, and the variables that go with them."""

    folder: Path
    server: NatsServer
    devnet: Devnet
    variables: dict[str, str]

    async def check(self, **variables: str) -> tuple[int, list[str]]:
        """The exit code of a check, and its lines."""
        ended = await pylon_command(self.folder, self.variables | variables, "check")
        assert ended.err == ""
        return ended.code, ended.out.splitlines()


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncGenerator[Deployment]:
    async with (
        NatsServer(tmp_path, authorization_config(deployment_settings())) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
    ):
        wallets = devnet_identities.write_wallets(tmp_path)
        of_the_simulation = devnet_identities.devnet_settings(with_keys(devnet.url), wallets, 0.5)
        variables = {
            name: text
            for name, text in of_the_simulation.items()
            if not name.startswith(("PYLON_ID_SN2_", "PYLON_ID_SN12_"))
        } | {
            "PYLON_IDENTITIES": '["sn1"]',
            "PYLON_NATS_URL": server.url,
            "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
        }
        of_others = tuple(
            f"PYLON_ID_{name.upper()}_" for name in devnet_identities.IDENTITIES if name != "sn1"
        )
        used = {name: text for name, text in variables.items() if not name.startswith(of_others)}
        yield Deployment(tmp_path, server, devnet, used)


def lines_with(lines: list[str], text: str) -> list[str]:
    return [line for line in lines if text in line]


async def test_a_check_without_problems_lists_each_check(deployment: Deployment) -> None:
    options = ConnectionOptions(
        urls=(deployment.server.url,), user=WORKER_USER, password=WORKER_PASSWORD
    )
    connection = await connect(options)
    await provision_streams(connection)
    await connection.close()
    code, lines = await deployment.check()
    assert code == 0, lines
    assert not [line for line in lines if not line.startswith("ok ")]
    for text in (
        *("settings", "disk", "as worker", "stream PYLON_JOBS", "JetStream", "archive"),
        *("is at block", "its hotkey can be opened", "is uid", "validator permit", "weights are"),
    ):
        assert lines_with(lines, text), text
    assert lines_with(lines, f"{deployment.devnet.url.rstrip('/')} is at block")
    assert not [line for line in lines if MARK in line or SHORT_SECRET in line]


async def test_missing_streams_are_not_a_failure(deployment: Deployment) -> None:
    code, lines = await deployment.check()
    assert code == 0
    assert lines_with(lines, "the first worker creates it")


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("PYLON_NATS_URL", "nats://127.0.0.1:1", "start a nats-server"),
        ("PYLON_NATS_WORKER_PASSWORD", "another-password", "pylon nats-conf"),
        (
            "PYLON_BITTENSOR_NETWORK",
            "ws://127.0.0.1:1/secret",
            "ws://127.0.0.1:1: The chain node cannot be reached. -> correct PYLON_BITTENSOR",
        ),
        ("PYLON_BITTENSOR_NETWORK", "nowhere", "correct PYLON_BITTENSOR_NETWORK"),
        (
            "PYLON_BITTENSOR_NETWORK",
            "node/secret",
            "unknown network: choose one",
        ),
        ("PYLON_ID_SN1_NETUID", "77", "correct PYLON_ID_SN1_NETUID"),
        ("PYLON_ID_SN1_NETUID", "2", "register it"),
        ("PYLON_ID_SN1_HOTKEY_NAME", "lost", "make it readable"),
        ("PYLON_BITTENSOR_WALLET_PATH", "", "set PYLON_BITTENSOR_WALLET_PATH"),
    ],
)
async def test_problems_are_reported_with_a_remedy(
    deployment: Deployment, variable: str, value: str, remedy: str
) -> None:
    code, lines = await deployment.check(PYLON_CHAIN_TIMEOUT_SECONDS="5", **{variable: value})
    assert code == 1
    failures = [line for line in lines if line.startswith("FAIL")]
    assert lines_with(failures, remedy), lines
    assert not lines_with(lines, "/secret")


async def test_a_stalled_chain_is_a_failure(deployment: Deployment) -> None:
    deployment.devnet.pause()
    code, lines = await deployment.check(PYLON_HEAD_SILENCE_SECONDS="0.001")
    assert code == 1
    assert lines_with(lines, "the node lags behind")


@pytest.mark.parametrize(("skew_s", "direction"), [(-600, "behind"), (600, "ahead")])
async def test_a_wrong_clock_of_this_machine_is_reported(
    deployment: Deployment, skew_s: int, direction: str
) -> None:
    options = ConnectionOptions(
        urls=(deployment.server.url,), user=WORKER_USER, password=WORKER_PASSWORD
    )
    connection = await connect(options)
    await provision_streams(connection)
    await connection.close()
    code, lines = await deployment.check(**skewed_clock(skew_s))
    assert code == 0, lines
    (found,) = lines_with(lines, "the clock of this machine is")
    assert f"s {direction}, by the NATS server and the chain" in found
    assert not lines_with(lines, "lags behind")
    assert not lines_with(lines, "s old")


async def test_an_archive_of_another_chain_is_reported(deployment: Deployment) -> None:
    async with Devnet(DevnetOptions(port=0, seed=2, autostart=False)) as another:
        code, lines = await deployment.check(PYLON_BITTENSOR_ARCHIVE_NETWORK=another.url)
    assert code == 0
    assert lines_with(lines, "is of another chain -> correct PYLON_BITTENSOR_ARCHIVE_NETWORK")


async def test_a_check_of_a_reader_lists_identities_with_a_signer(
    deployment: Deployment,
) -> None:
    code, lines = await deployment.check(PYLON_WORKER_ROLE="reader")
    assert code == 0
    (found,) = lines_with(lines, "it cannot write")
    assert "identity sn1" in found
    assert "PYLON_WORKER_ROLE=signer" in found
    variables = {
        name: text for name, text in deployment.variables.items() if "NATS_URL" not in name
    }
    del variables["PYLON_BITTENSOR_NETWORK"]
    async with worker_process(
        deployment.folder, deployment.server.url, deployment.devnet.url, **variables
    ) as signer:
        await signer.logs(READY)
        code, lines = await deployment.check(PYLON_WORKER_ROLE="reader")
    assert code == 0
    assert lines_with(lines, "a signer with its hotkey is running")


@pytest.mark.parametrize(
    ("command", "checks_tokens"),
    [("check", False), ("worker", False), ("nats-conf", True), ("up", True)],
)
async def test_invalid_settings_are_reported_one_per_line(
    tmp_path: Path, command: str, *, checks_tokens: bool
) -> None:
    variables = {
        "PYLON_IDENTITIES": '["sn1", "sn-2"]',
        "PYLON_ID_SN1_TOKEN": "",
        "PYLON_ID_SN_2_NETUID": "a-value",
        "PYLON_ID_SN_2_TOKEN": "a-token",
        "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
        "PYLON_NATS_BRIDGE_PASSWORD": BRIDGE_PASSWORD,
    }
    ended = await pylon_command(tmp_path, variables, command)
    assert ended.code == 2
    assert ended.out == ""
    assert [
        line.removesuffix(", unable to parse string as an integer")
        for line in ended.err.splitlines()
        if "no effect" not in line  # of `up`, which makes the passwords itself
    ] == [
        "wrong setting: PYLON_ID_SN1_NETUID: required",
        *(["wrong setting: PYLON_ID_SN1_TOKEN: must not be empty"] if checks_tokens else []),
        "wrong setting: PYLON_ID_SN_2_NETUID: should be a valid integer",
    ]


MISTYPED = {
    "PYLON_OPEN_ACESS_TOKEN": "a-token",
    "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
    "PYLON_NATS_BRIDGE_PASSWORD": BRIDGE_PASSWORD,
}
MEANT = (
    "PYLON_OPEN_ACESS_TOKEN is not a setting of Pylon and has no effect: "
    "did you mean PYLON_OPEN_ACCESS_TOKEN?"
)


@pytest.mark.parametrize("command", ["worker", "nats-conf"])
async def test_a_mistyped_setting_is_refused_if_they_are_strict(
    tmp_path: Path, command: str
) -> None:
    ended = await pylon_command(tmp_path, MISTYPED | {"PYLON_STRICT_SETTINGS": "true"}, command)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"wrong setting: {MEANT}\n"


async def test_a_check_finds_a_mistyped_setting(deployment: Deployment) -> None:
    for strict, level in (("false", "warn"), ("true", "FAIL")):
        variables = {"PYLON_OPEN_ACESS_TOKEN": "a-token", "PYLON_STRICT_SETTINGS": strict}
        code, lines = await deployment.check(**variables)
        assert code == (1 if level == "FAIL" else 0)
        (found,) = lines_with(lines, MEANT)
        assert found.startswith(level)


async def test_shell_completion_lists_the_subcommands(tmp_path: Path) -> None:
    variables = {"_PYLON_COMPLETE": "complete_bash", "COMP_WORDS": "pylon jobs ", "COMP_CWORD": "2"}
    ended = await pylon_command(tmp_path, variables)
    assert ended.out.split() == ["ls", "show", "cancel"]
    assert ended.err == ""


async def test_the_version_is_printed(tmp_path: Path) -> None:
    ended = await pylon_command(tmp_path, {}, "--version")
    assert (ended.code, ended.out) == (0, f"pylon {version('pylon-service')}\n")


@pytest.mark.parametrize("option", ["--port", "--control-port"])
async def test_the_devnet_rejects_an_invalid_port(tmp_path: Path, option: str) -> None:
    ended = await pylon_command(tmp_path, {}, "devnet", option, "99999")
    assert ended.code == 2
    assert f"'{option}'" in ended.err
    assert "Traceback" not in ended.err
