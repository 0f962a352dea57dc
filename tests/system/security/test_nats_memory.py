"""Clients without credentials cannot make a nats-server store more than its limits allow."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import pytest
import yaml

from pylon.nats_server.embedded_server import EmbeddedNats
from pylon.nats_server.permissions import PermissionsError, authorization_config
from pylon.nats_server.server_access import ServerAccessSettings, server_access_config
from pylon.nats_server.server_limits import (
    CONNECTION_BYTES,
    GO_MEMORY_LIMIT,
    LIMITS,
    MAX_CONNECTIONS,
    MAX_CONTROL_LINE_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_PENDING_BYTES,
    MAX_SUBSCRIPTION_TOKENS,
    MAX_SUBSCRIPTIONS,
    MIB,
    SERVER_BYTES,
    limits_text,
)
from pylon_client.contract.topology import MAX_REQUEST_BYTES, REPLIES_IN_FLIGHT_BYTES
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.raw_nats import RawNats
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S

ROOT: Final = Path(__file__).parents[3]
ATTACKERS: Final = 30
SUBSCRIPTIONS: Final = 500_000
CONNECTIONS_THAT_END: Final = 250
REPLY: Final = b"x" * 160_000
LATEST: Final = "pylon.v1.open.chain.block.latest"


class ServerUnderAttack:
    """A server, its worker, and an honest reader; measures the memory of the server."""

    def __init__(self, server: NatsServer, worker: NatsConnection, reader: NatsConnection) -> None:
        self.server = server
        self.worker = worker
        self.reader = reader
        self.reads = 0
        self.peak_bytes = 0

    def bound_bytes(self, connections: int) -> int:
        return SERVER_BYTES + connections * CONNECTION_BYTES

    def measure(self) -> None:
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        (found,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        self.peak_bytes = max(self.peak_bytes, int(found) * 1024)

    async def read(self) -> None:
        async with asyncio.timeout(HANGS_AFTER_S):
            reply = await self.reader.request(LATEST, timeout_s=HANGS_AFTER_S)
        assert reply.body == b"{}"
        self.reads += 1
        self.measure()


@pytest.fixture
async def attacked(tmp_path: Path) -> AsyncGenerator[ServerUnderAttack]:
    settings = deployment_settings(identities={"alice": 1})
    server = NatsServer(tmp_path, authorization_config(settings), more=limits_text())
    async with server:
        urls = (server.url,)
        worker = await connect(ConnectionOptions(urls, "worker", WORKER_PASSWORD))
        reader = await connect(ConnectionOptions(urls))

        async def answer(message: object) -> None:
            await worker.nats.publish(message.reply, b"{}")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- a message

        await worker.subscribe(LATEST, answer)
        await worker.nats.flush()
        yield ServerUnderAttack(server, worker, reader)
        await reader.close()
        await worker.close()


async def silent(url: str, *lines: bytes) -> asyncio.StreamWriter:
    """Connect without credentials, send some lines, and stop reading."""
    host, _, port = url.removeprefix("nats://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(b'CONNECT {"verbose":false}\r\n' + b"".join(lines))
    await writer.drain()
    reader._transport.pause_reading()  # pyright: ignore -- a reader that does not read
    return writer


async def test_slow_readers_use_no_more_memory_than_the_limits_allow(
    attacked: ServerUnderAttack,
) -> None:
    # The server reserves the whole size of a partial message, in addition to pending bytes.
    partial_message = b"PUB pylon.v1.open.1.x %d\r\nx" % MAX_PAYLOAD_BYTES
    attackers = [
        await silent(attacked.server.url, b"SUB _INBOX.open.> 1\r\n", partial_message)
        for _ in range(ATTACKERS)
    ]
    try:
        # More bytes than the attackers may leave unread, including their socket buffers.
        for number in range(3 * MAX_PENDING_BYTES // len(REPLY)):
            await attacked.worker.nats.publish(f"_INBOX.open.a{number}.b", REPLY)
            await attacked.worker.nats.flush()
            await attacked.read()
    finally:
        for writer in attackers:
            writer.transport.abort()
    assert "Slow Consumer" in attacked.server.log
    assert attacked.peak_bytes > ATTACKERS * MAX_PENDING_BYTES / 4, "the attack has no effect"
    assert attacked.peak_bytes < attacked.bound_bytes(ATTACKERS + 2)
    assert attacked.worker.counts.disconnects == attacked.reader.counts.disconnects == 0


async def test_half_a_million_subscriptions_use_no_more_memory_than_the_limits_allow(
    attacked: ServerUnderAttack,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for attacker in range(ATTACKERS):
            raw = await stack.enter_async_context(
                RawNats(attacked.server.url, None, "", lambda *_: None)
            )
            for number in range(SUBSCRIPTIONS // ATTACKERS):
                # The maximum number of tokens, all of them unique.
                tokens = (f"{attacker}-{number}-{token}".ljust(110, "x") for token in range(8))
                raw.subscribe(f"_INBOX.open.{'.'.join(tokens)}")
                if number % 1000 == 0:
                    await raw.flush()
            await raw.flush()
            assert any("maximum subscriptions exceeded" in error for error in raw.errors)
            await attacked.read()
        assert attacked.peak_bytes < attacked.bound_bytes(ATTACKERS + 2)


async def test_ended_connections_release_their_memory(
    attacked: ServerUnderAttack,
) -> None:
    """nats-server keeps the subscriptions of ended connections, for its monitoring."""
    for attacker in range(CONNECTIONS_THAT_END):
        async with RawNats(attacked.server.url, None, "", lambda *_: None) as raw:
            for number in range(MAX_SUBSCRIPTIONS):
                tokens = (f"{attacker}-{number}-{token}".ljust(110, "x") for token in range(8))
                raw.subscribe(f"_INBOX.open.{'.'.join(tokens)}")
            await raw.flush()
        await attacked.read()
    assert attacked.peak_bytes < attacked.bound_bytes(3)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"PUB pylon.v1.open.1.x %d\r\nx" % (MAX_PAYLOAD_BYTES + 1), b"Maximum Payload"),
        (b"SUB _INBOX.open.%b 1\r\n" % (b"x" * MAX_CONTROL_LINE_BYTES), b"maximum control line"),
        (
            b"SUB _INBOX.open%b 1\r\n" % (b".x" * MAX_SUBSCRIPTION_TOKENS),
            b"too many tokens",
        ),
    ],
)
async def test_too_large_messages_are_refused(
    attacked: ServerUnderAttack, line: bytes, error: bytes
) -> None:
    host, _, port = attacked.server.url.removeprefix("nats://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b'CONNECT {"verbose":false}\r\n' + line)
    async with asyncio.timeout(HANGS_AFTER_S):
        await reader.readuntil(error)
    writer.close()
    await attacked.read()


async def test_a_server_that_is_full_refuses_more_connections(tmp_path: Path) -> None:
    few = limits_text().replace(f"max_connections: {MAX_CONNECTIONS}", "max_connections: 3")
    async with NatsServer(tmp_path, more=few) as server:
        connections = [await connect(ConnectionOptions((server.url,))) for _ in range(3)]
        host, _, port = server.url.removeprefix("nats://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(HANGS_AFTER_S):
            await reader.readuntil(b"maximum connections exceeded")
        writer.close()
        for connection in connections:
            assert connection.is_connected
            await connection.close()


def test_the_limits_fit_into_the_memory_of_every_manifest() -> None:
    worst = SERVER_BYTES + MAX_CONNECTIONS * CONNECTION_BYTES
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["nats"]
    kubernetes = (ROOT / "deploy/k8s/components/nats/nats.yaml").read_text()
    (workload,) = [one for one in yaml.safe_load_all(kubernetes) if one["kind"] == "StatefulSet"]
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    values = yaml.safe_load((ROOT / "deploy/k8s/overlays/production/nats-values.yaml").read_text())
    memory = {
        compose["mem_limit"].upper() + "i",
        container["resources"]["limits"]["memory"],
        values["container"]["merge"]["resources"]["limits"]["memory"],
    }
    assert memory == {"4Gi"}
    assert worst < 4096 * MIB
    go_limits = {
        compose["environment"]["GOMEMLIMIT"],
        next(one["value"] for one in container["env"] if one["name"] == "GOMEMLIMIT"),
        values["container"]["env"]["GOMEMLIMIT"],
    }
    assert go_limits == {GO_MEMORY_LIMIT}
    assert int(GO_MEMORY_LIMIT.removesuffix("MiB")) < 4096
    # The limits must suffice for Pylon's own clients.
    assert MAX_REQUEST_BYTES < MAX_PAYLOAD_BYTES
    assert 2 * REPLIES_IN_FLIGHT_BYTES <= MAX_PENDING_BYTES
    assert MAX_SUBSCRIPTIONS > 1000


async def test_every_configuration_has_the_limits(tmp_path: Path) -> None:
    settings = deployment_settings()
    access = server_access_config(ServerAccessSettings.model_construct(**vars(settings)))
    values = yaml.safe_load((ROOT / "deploy/k8s/overlays/production/nats-values.yaml").read_text())
    merged = values["config"]["merge"]
    assert {name: merged.get(name) for name in LIMITS} == LIMITS
    async with EmbeddedNats(tmp_path, settings, port=0) as embedded:
        texts = [
            access,
            (tmp_path / "nats" / "nats.conf").read_text(),
            (ROOT / "nats.conf").read_text(),
            (ROOT / "deploy/k8s/components/nats/nats.conf").read_text(),
        ]
        environment = await asyncio.to_thread(Path(f"/proc/{embedded.pid}/environ").read_bytes)
    assert f"GOMEMLIMIT={GO_MEMORY_LIMIT}".encode() in environment
    for text in texts:
        found = dict(re.findall(r"^(max_\w+): (\d+)$", text, re.MULTILINE))
        assert {name: int(value) for name, value in found.items()} == LIMITS


def test_a_token_that_does_not_fit_into_a_line_is_refused() -> None:
    for token, is_fit in (("x" * 510, True), ("x" * 511, False), ("é" * 86, False)):
        settings = deployment_settings(identities={"alice": 1}, tokens={"alice": token})
        if is_fit:
            assert authorization_config(settings)
        else:
            with pytest.raises(PermissionsError, match="too long"):
                authorization_config(settings)


async def test_the_longest_token_connects(tmp_path: Path) -> None:
    token = "x" * 510
    settings = deployment_settings(identities={"a" * 32: 1}, tokens={"a" * 32: token})
    async with NatsServer(tmp_path, authorization_config(settings), more=limits_text()) as server:
        connection = await connect(
            ConnectionOptions((server.url,), "a" * 32, token, "a program with a long name " * 3)
        )
        assert connection.is_connected
        await connection.close()
