"""`nats.conf` and the output of `pylon nats-conf`, read by a real nats-server."""

import shutil
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pylon.nats_server.server_limits import MAX_PAYLOAD_BYTES
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_process import NatsProcess
from tests.support.product.certificates import Authority
from tests.support.product.deployment import BRIDGE_PASSWORD, WORKER_PASSWORD, token_of
from tests.support.product.eventually import comes_true, eventually
from tests.support.product.free_ports import free_ports
from tests.support.product.pylon_command import pylon_command

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
    "PYLON_NATS_BRIDGE_PASSWORD": BRIDGE_PASSWORD,
    "PYLON_IDENTITIES": '["alice"]',
    "PYLON_ID_ALICE_NETUID": "1",
    "PYLON_ID_ALICE_TOKEN": token_of("alice"),
}
BOB = {
    "PYLON_IDENTITIES": '["alice", "bob"]',
    "PYLON_ID_BOB_NETUID": "2",
    "PYLON_ID_BOB_TOKEN": token_of("bob"),
}


async def configured(folder: Path, **more: str) -> Path:
    """Copy the project's `nats.conf` to a folder, and write the users for some settings."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 -- nothing else runs yet
    shutil.copy(ROOT / "nats.conf", folder)
    access = folder / "nats-access" / "access.conf"
    ended = await pylon_command(folder, SETTINGS | more, "nats-conf", "--out", str(access))
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert access.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in access.parent.iterdir()] == ["access.conf"]
    return folder / "nats.conf"


async def connected(
    stack: AsyncExitStack, url: str, user: str, password: str, tls: ssl.SSLContext | None = None
) -> NatsConnection:
    connection = await connect(
        ConnectionOptions(urls=(url,), user=user, password=password, tls=tls)
    )
    stack.push_async_callback(connection.close)
    return connection


async def test_a_reload_adds_and_removes_identities_and_keeps_other_connections(
    tmp_path: Path,
) -> None:
    config = await configured(tmp_path)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsProcess(tmp_path / "run", config))
        alice = await connected(stack, server.url(), "alice", token_of("alice"))
        assert alice.nats.max_payload == MAX_PAYLOAD_BYTES
        with pytest.raises(FailureError) as refused:
            await connected(stack, server.url(), "bob", token_of("bob"))
        assert refused.value.code is ErrorCode.FORBIDDEN

        await configured(tmp_path, **BOB)
        await server.reload()
        bob = await connected(stack, server.url(), "bob", token_of("bob"))

        await configured(tmp_path)
        await server.reload()
        await eventually(bob.closed.is_set)
        assert alice.is_connected
        assert alice.counts.disconnects == 0


async def test_an_error_is_one_line_and_leaves_the_file_unchanged(tmp_path: Path) -> None:
    await configured(tmp_path)
    access = tmp_path / "nats-access" / "access.conf"
    before = access.read_text()
    ended = await pylon_command(
        tmp_path,
        SETTINGS | {"PYLON_NATS_WORKER_PASSWORD": ""},
        *("nats-conf", "--out", str(access)),
    )
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "PYLON_NATS_WORKER_PASSWORD" in ended.err
    assert access.read_text() == before


async def test_clients_can_be_required_to_use_mutual_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    server_cert, client_cert = authority.issue("server"), authority.issue("client")
    config = await configured(
        tmp_path,
        PYLON_NATS_SERVER_CERT_FILE=str(server_cert.cert),
        PYLON_NATS_SERVER_KEY_FILE=str(server_cert.key),
        PYLON_NATS_SERVER_CA_FILE=str(authority.path),
    )
    trusted = ssl.create_default_context(cafile=authority.path)
    trusted.load_cert_chain(client_cert.cert, client_cert.key)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsProcess(tmp_path / "run", config))
        alice = await connected(stack, server.url("tls"), "alice", token_of("alice"), trusted)
        assert alice.is_connected
        for unfit in (None, ssl.create_default_context(cafile=authority.path)):
            with pytest.raises(FailureError):
                await connected(stack, server.url("tls"), "alice", token_of("alice"), unfit)


async def test_servers_join_with_the_clusters_password_and_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    issued = authority.issue("route")
    ports = free_ports(2)
    routes = ",".join(f"nats-route://127.0.0.1:{port}" for port in ports)
    async with AsyncExitStack() as stack:
        servers: list[NatsProcess] = []
        for number, port in enumerate(ports):
            folder = tmp_path / f"server-{number}"
            config = await configured(
                folder,
                PYLON_NATS_CLUSTER_NAME="pylon",
                PYLON_NATS_CLUSTER_LISTEN=f"127.0.0.1:{port}",
                PYLON_NATS_CLUSTER_ROUTES=routes,
                PYLON_NATS_CLUSTER_PASSWORD="cluster/password?",
                PYLON_NATS_CLUSTER_CERT_FILE=str(issued.cert),
                PYLON_NATS_CLUSTER_KEY_FILE=str(issued.key),
                PYLON_NATS_CLUSTER_CA_FILE=str(authority.path),
            )
            server = NatsProcess(folder / "run", config, "-n", f"server-{number}")
            servers.append(await stack.enter_async_context(server))
        bridge = await connected(stack, servers[0].url(), "bridge", BRIDGE_PASSWORD)
        alice = await connected(stack, servers[1].url(), "alice", token_of("alice"))
        received: list[str] = []

        async def receive(message: object) -> None:
            received.append(str(message))

        await alice.subscribe("pylon.v1.event.block", receive)
        await alice.nats.flush()
        worker = await connected(stack, servers[0].url(), "worker", WORKER_PASSWORD)

        async def arrived() -> bool:
            await worker.nats.publish("pylon.v1.event.block", b"{}")
            await worker.nats.flush()
            return bool(received)

        await comes_true(arrived)
        assert bridge.is_connected
        assert "cluster/password" not in servers[0].log + servers[1].log


async def test_a_cluster_without_a_password_is_refused(tmp_path: Path) -> None:
    ended = await pylon_command(
        tmp_path, SETTINGS | {"PYLON_NATS_CLUSTER_NAME": "pylon"}, "nats-conf"
    )
    assert ended.code == 1
    assert "PYLON_NATS_CLUSTER_PASSWORD" in ended.err
