"""Compatibility of clients, bridges, workers, permissions and state with the previous release."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import pytest_asyncio

from pylon_client.v1 import AsyncPylonClient, JobId, JobState
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.replicas import Nats
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import BRIDGE_PASSWORD, READER_PASSWORD, token_of
from tests.support.product.environments import ROOT
from tests.support.product.eventually import eventually
from tests.support.product.job_deployment import (
    SUBNETS,
    Deployment,
    client_of,
    ended,
    is_deferred,
    make_wallets,
    signing_settings,
    wait_until,
    weights_of,
)
from tests.support.product.previous_release import previous_release
from tests.support.product.pylon_command import command_environment, pylon_argv
from tests.support.product.subprocesses import output_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("sdk_home")]

Release = Literal["previous", "this"]
CLIENT: Final = ROOT / "tests" / "compat" / "scripts" / "release_client.py"
BLOCK_TIME_S: Final = 0.2


class Releases:
    """Both releases, and a chain.

    Args:
        previous: folder of the packages of the previous release.
        folder: of everything else.
        devnet: the chain.
    """

    def __init__(self, previous: Path, folder: Path, devnet: Devnet) -> None:
        self.folder = folder
        self.devnet = devnet
        self._previous = previous

    def path(self, release: Release) -> dict[str, str]:
        """Return the variable that makes a process import the packages of a release."""
        return {"PYTHONPATH": str(self._previous if release == "previous" else ROOT)}

    async def nats(self, release: Release, name: str) -> NatsServer:
        """Return a server with the users and permissions that a release makes of the settings."""
        variables = signing_settings(self.folder, SUBNETS, {name: name for name in SUBNETS}) | {
            "PYLON_NATS_BRIDGE_PASSWORD": BRIDGE_PASSWORD,
            "PYLON_NATS_READER_PASSWORD": READER_PASSWORD,
            **self.path(release),
        }
        users = await output_of(
            *pylon_argv("nats-conf", "--out", f"{name}/access.conf"),
            cwd=self.folder,
            env=command_environment(self.folder, variables),
        )
        assert users == ""
        return NatsServer(self.folder, (self.folder / name / "access.conf").read_text(), name=name)

    def bridge(self, release: Release, nats_url: str) -> BridgeProcess:
        variables = bridge_environment(nats_url, SUBNETS) | self.path(release)
        return BridgeProcess(self.folder, variables)

    async def client(self, release: Release, identity: str, *addresses: str) -> Any:
        """Read and write at some addresses with the client of a release; return the results."""
        request = {"addresses": addresses, "identity": identity, "token": token_of(identity)}
        output = await output_of(
            *(sys.executable, str(CLIENT), json.dumps(request)),
            cwd=self.folder,
            env=command_environment(self.folder, self.path(release)),
        )
        result = json.loads(output)
        assert result["file"].startswith(self.path(release)["PYTHONPATH"])
        return result["found"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def releases(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Releases]:
    previous = previous_release(tmp_path_factory.mktemp("previous"))
    folder = tmp_path_factory.mktemp("releases")
    options = DevnetOptions(port=0, block_time_s=BLOCK_TIME_S, tempo_blocks=2000, active=False)
    async with Devnet(options) as devnet:
        make_wallets(folder, devnet)
        yield Releases(previous, folder, devnet)


@pytest.mark.parametrize(("worker", "permissions"), [("previous", "this"), ("this", "previous")])
async def test_clients_and_bridges_of_both_releases_work_with_workers_of_each(
    releases: Releases, worker: Release, permissions: Release
) -> None:
    async with (
        await releases.nats(permissions, f"beside-{worker}") as server,
        Deployment(releases.folder, Nats(server), releases.devnet).worker(**releases.path(worker)),
        releases.bridge("previous", server.url) as previous_bridge,
        releases.bridge("this", server.url) as this_bridge,
    ):
        addresses = (server.url, previous_bridge.url, this_bridge.url)
        expected = {"neurons": 256, "state": JobState.CONFIRMED, "is_listed": True}
        clients: tuple[Release, Release] = ("previous", "this")
        for found in await asyncio.gather(
            *(releases.client(client, "sn1", *addresses) for client in clients)
        ):
            assert found == dict.fromkeys(addresses, expected)


async def test_workers_of_both_releases_share_jobs_and_state_and_each_follows_the_other(
    releases: Releases,
) -> None:
    devnet = releases.devnet
    async with await releases.nats("previous", "shared") as server:
        deployment = Deployment(releases.folder, Nats(server), devnet)
        applied = deployment.applied()
        numbers: list[int] = []

        async def listen(client: AsyncPylonClient) -> None:
            blocks = client.open_access.blocks()
            while True:
                numbers.append((await anext(blocks)).number)

        async with (
            client_of(server.url, "sn12") as listener,
            deployment.identity("sn1") as sn1,
            deployment.identity("sn2") as sn2,
        ):

            async def put_deferred(uid: int) -> str:
                """Put weights that wait for a limit of the chain."""
                devnet.set_hyperparameter(1, "WeightsSetRateLimit", 1500)
                await devnet.advance(2)
                scheduled = await sn1.put_weights(weights_of(devnet, 1, uid))
                await wait_until(sn1, scheduled.job_id, is_deferred)
                return scheduled.job_id

            async def final_state(job_id: str) -> JobState:
                """Lift the limit, and return the state in which the job ends."""
                devnet.set_hyperparameter(1, "WeightsSetRateLimit", 0)
                return (await ended(sn1, JobId(job_id))).state

            async with deployment.worker(**releases.path("previous")) as old:
                listening = asyncio.create_task(listen(listener))
                first = await sn1.put_weights(weights_of(devnet, 1, 3), idempotency_key="first")
                assert (await ended(sn1, first.job_id)).state is JobState.CONFIRMED
                deferred_by_old = await put_deferred(4)
                # Upgrade: both releases run, then this one continues with the old state.
                async with deployment.worker(**releases.path("this")):
                    both = await sn2.put_weights(weights_of(devnet, 2, 3))
                    assert (await ended(sn2, both.job_id)).state is JobState.CONFIRMED
                    old.process.send_signal(signal.SIGTERM)
                    assert await old.ends() == 0
                    assert await final_state(deferred_by_old) is JobState.CONFIRMED
                    deferred_by_new = await put_deferred(5)
            # Rollback: the previous release continues with the state of this one.
            async with deployment.worker(**releases.path("previous")):
                assert await final_state(deferred_by_new) is JobState.CONFIRMED
                again = await sn1.put_weights(weights_of(devnet, 1, 3), idempotency_key="first")
                assert again.job_id == first.job_id
                assert len((await sn1.get_jobs()).jobs) == 3
                newest = devnet.best_number
                await eventually(lambda: numbers[-1] >= newest)
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
        assert deployment.applied() - applied == 4
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
