"""A deployment whose node is of another chain than its state refuses to work."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from pylon.chain.chain_guard import ChainGuard
from pylon.chain.chain_identity import ChainIdentity, short_genesis
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.chain.write_port import CommitmentCall, RefusedError
from pylon.cli.backup.backup_file import BackupFile
from pylon.nats_server.permissions import authorization_config
from pylon.wallets.hotkeys import open_hotkey
from pylon_client.contract import json_codec
from pylon_client.contract.failures import FailureError
from pylon_client.contract.types import NetUid
from pylon_client.v1 import ErrorCode, JobState, PylonBadGateway, PylonNotFound
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.tcp_proxy import TcpProxy
from tests.support.product.deployment import READER_PASSWORD, deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.job_deployment import (
    SUBNETS,
    Deployment,
    defer_job,
    ended,
    make_wallets,
    signing_settings,
    weights_of,
)
from tests.support.product.pylon_command import Ended, pylon_command
from tests.support.product.running_worker import connected
from tests.support.product.secret_texts import MARK
from tests.support.product.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOCK_TIME_S = 0.1
HIGHER_BY_BLOCKS = 150
LATEST = "pylon.v1.open.chain.block.latest"
NATS_ADDRESS = "PYLON_NATS_URL"


def options(seed: int) -> DevnetOptions:
    return DevnetOptions(
        port=0, block_time_s=BLOCK_TIME_S, seed=seed, tempo_blocks=2000, active=False
    )


@pytest_asyncio.fixture(loop_scope="module")
async def old() -> AsyncGenerator[Devnet]:
    """Run the chain of the state, which is the longer one."""
    async with Devnet(options(1)) as node:
        await node.advance(HIGHER_BY_BLOCKS)
        yield node


@pytest_asyncio.fixture(loop_scope="module")
async def new() -> AsyncGenerator[Devnet]:
    async with Devnet(options(2)) as node:
        yield node


@pytest_asyncio.fixture(loop_scope="module")
async def proxy(old: Devnet) -> AsyncGenerator[TcpProxy]:
    """Return the address of a node that can be replaced by another."""
    async with TcpProxy(port_of(old)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def nats(tmp_path: Path) -> AsyncGenerator[NatsServer]:
    async with NatsServer(
        tmp_path, authorization_config(deployment_settings(identities=SUBNETS))
    ) as run:
        yield run


@pytest_asyncio.fixture(loop_scope="module")
async def deployment(tmp_path: Path, nats: NatsServer, old: Devnet, new: Devnet) -> Deployment:
    for devnet in (old, new):
        make_wallets(tmp_path, devnet)
    return Deployment(tmp_path, nats, old)


def port_of(devnet: Devnet) -> int:
    return int(devnet.url.rstrip("/").rpartition(":")[2])


def genesis_of(devnet: Devnet) -> str:
    return "0x" + devnet.chain.genesis_hash.hex()


def has_both_names(text: str, *devnets: Devnet) -> bool:
    return all(short_genesis(genesis_of(devnet)) in text for devnet in devnets)


async def command(deployment: Deployment, devnet: Devnet, *arguments: str) -> Ended:
    wallets = {name: name for name in SUBNETS}
    variables = signing_settings(deployment.folder / "wallets", SUBNETS, wallets)
    variables |= {
        NATS_ADDRESS: deployment.nats.url,
        "PYLON_BITTENSOR_NETWORK": devnet.url,
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
    }
    return await pylon_command(deployment.folder, variables, *arguments)


async def latest_number(deployment: Deployment) -> int:
    async with connected(deployment.nats.url) as connection:
        reply = await connection.request(LATEST, timeout_s=HANGS_AFTER_S)
    return int(json_codec.decode(reply.body)["number"])


async def test_a_worker_on_another_chain_refuses_to_start_until_a_reset(
    deployment: Deployment, old: Devnet, new: Devnet
) -> None:
    async with deployment.worker():
        deferred = await defer_job(deployment, old)
    moved = Deployment(deployment.folder, deployment.nats, new)
    with pytest.raises(AssertionError, match="pylon reset --network"):
        async with moved.worker():
            raise RuntimeError("it serves another chain")

    check = await command(deployment, new, "check")
    (line,) = [line for line in check.out.splitlines() if line.startswith("FAIL")]
    assert check.code == 1
    assert has_both_names(line, old, new)
    label = old.url.rstrip("/")
    assert f"pylon reset --network {label}" in line

    wrong = await command(deployment, new, "reset", "--network", "finney", "--yes")
    assert wrong.code == 1
    assert label in wrong.err
    unconfirmed = await command(deployment, new, "reset", "--network", label)
    assert unconfirmed.code == 1
    assert "1 job that has not ended (sn2: 1)" in unconfirmed.err
    assert "add --yes" in unconfirmed.err
    done = await command(deployment, new, "reset", "--network", label, "--yes")
    assert done.code == 0, done.err
    (file,) = deployment.folder.glob("*.backup")
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"pylon restore {file}" in done.out
    backup_keys = [entry.key for entry in BackupFile(file, str(file)).entries()]
    assert any(key.endswith(deferred) for key in backup_keys)
    assert MARK not in done.out + done.err + check.out

    first_height = new.best_number
    async with moved.worker() as worker, moved.identity("sn2") as sn2:
        await worker.logs("Publishing from now on")
        assert first_height <= await latest_number(moved) < old.best_number
        with pytest.raises(PylonNotFound):
            await sn2.get_job(deferred)
        again = await sn2.put_weights(weights_of(new, 2, 3))
        assert (await ended(sn2, again.job_id)).state is JobState.CONFIRMED
    assert moved.applied() == 1


async def readiness(worker: WorkerProcess) -> httpx.Response:
    found = re.search(r"Health and metrics on (http://\S+)", worker.log)
    assert found is not None
    async with httpx.AsyncClient(trust_env=False, timeout=HANGS_AFTER_S) as http:
        return await http.get(f"{found[1]}/readyz")


async def test_a_node_that_returns_as_another_chain_is_refused(
    deployment: Deployment, old: Devnet, new: Devnet, proxy: TcpProxy
) -> None:
    settings = {
        "PYLON_BITTENSOR_NETWORK": f"ws://127.0.0.1:{proxy.port}",
        "PYLON_HEALTH_PORT": "0",
    }
    async with deployment.worker(**settings) as worker, deployment.identity("sn2") as sn2:
        deferred = await defer_job(deployment, old)
        new.set_hyperparameter(2, "WeightsSetRateLimit", 0)
        was_applied = deployment.applied()
        proxy.server_port = port_of(new)
        proxy.drop()

        async def is_refused() -> bool:
            response = await readiness(worker)
            return response.status_code == 503 and has_both_names(response.text, old, new)

        await comes_true(is_refused)
        assert "pylon reset --network" in (await readiness(worker)).text
        with pytest.raises(PylonBadGateway) as refused:
            await sn2.put_weights(weights_of(old, 2, 5))
        assert refused.value.code == ErrorCode.WRONG_CHAIN
        assert "127.0.0.1" not in str(refused.value)
        async with connected(deployment.nats.url) as connection:
            reply = await connection.nats.request(
                "pylon.v1.open.1.neurons.at", b'{"block_number":3}', timeout=HANGS_AFTER_S
            )
        assert (reply.headers or {})["Pylon-Error"] == "WRONG_CHAIN"
        # Long enough for each part of the worker to receive the job and new heads.
        height = new.best_number
        while new.best_number < height + 40:
            await asyncio.sleep(BLOCK_TIME_S)
        job = await sn2.get_job(deferred)
        assert not job.has_ended
        assert sum(sum(calls.values()) for calls in new.applied_counts().values()) == 0
        assert deployment.applied() == was_applied

        proxy.server_port = port_of(old)
        proxy.drop()
        old.set_hyperparameter(2, "WeightsSetRateLimit", 0)

        async def is_ready() -> bool:
            return (await readiness(worker)).status_code == 200

        await comes_true(is_ready)
        assert (await ended(sn2, deferred)).state is JobState.CONFIRMED
        assert "is not published" not in worker.log


async def test_a_reader_on_another_chain_than_the_signers_rejects_requests(
    deployment: Deployment, old: Devnet, new: Devnet
) -> None:
    misled = Deployment(deployment.folder, deployment.nats, new)
    confined = {
        "PYLON_WORKER_ROLE": "reader",
        "PYLON_NATS_READER_PASSWORD": READER_PASSWORD,
        "PYLON_HEALTH_PORT": "0",
    }
    async with (
        deployment.worker(PYLON_WORKER_ROLE="signer"),
        misled.worker(**confined) as reader,
        connected(deployment.nats.url) as connection,
    ):

        async def is_refused() -> bool:
            response = await readiness(reader)
            return response.status_code == 503 and has_both_names(response.text, old, new)

        await comes_true(is_refused)
        assert "set PYLON_BITTENSOR_NETWORK to the network of the signers" in reader.log
        reply = await connection.nats.request(
            "pylon.v1.open.1.neurons.at", b'{"block_number":1}', timeout=HANGS_AFTER_S
        )
        assert (reply.headers or {})["Pylon-Error"] == "WRONG_CHAIN"


async def test_an_extrinsic_of_one_chain_is_refused_by_another(
    deployment: Deployment, old: Devnet, new: Devnet, proxy: TcpProxy
) -> None:
    """The node changes after the signature, with and without a guard that detects it."""
    signer = open_hotkey(deployment.folder / "wallets", "sn2", "default")
    network = f"ws://127.0.0.1:{proxy.port}"
    guard = ChainGuard(network, lambda _: "", needs_binding=True)
    guard.bind(ChainIdentity(network, genesis_of(old)))
    for chain in (SubtensorWriter(network, guard=guard), SubtensorWriter(network)):
        proxy.server_port = port_of(old)
        proxy.drop()
        signed = await chain.sign(CommitmentCall(NetUid(2), b"x"), signer)
        proxy.server_port = port_of(new)
        proxy.drop()
        with pytest.raises((FailureError, RefusedError)):
            await chain.submit(signed)
        await chain.close()
    height = new.best_number
    while new.best_number < height + 2:
        await asyncio.sleep(BLOCK_TIME_S)
    assert not new.applied_counts()
    assert not old.applied_counts()
