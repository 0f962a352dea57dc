"""Run the commands of all containers of the local overlay, with three NATS servers."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from pylon_client.contract.jobs import SUCCEEDED, Job, JobState
from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    BasePylonException,
    Hotkey,
    NetUid,
    Weight,
)
from pylon_devnet import Devnet, DevnetOptions
from tests.support.k8s.balancer import Balancer
from tests.support.k8s.kustomize import render
from tests.support.k8s.pod import Cluster, Pod
from tests.support.product.eventually import comes_true
from tests.support.product.free_ports import free_ports
from tests.support.product.sizes import sized

LOCAL = Path(__file__).parents[2] / "deploy" / "k8s" / "overlays" / "local"
SERVERS = 3


@dataclass
class Running:
    """The pods that run, by name."""

    cluster: Cluster
    pods: dict[str, Pod]

    async def start(self, workload: str, name: str, **ports: int) -> Pod:
        """Start a pod of a workload; `ports` maps `p<container port>` to local ports."""
        (manifest,) = [
            one
            for one in self.cluster.manifests
            if one["kind"] in {"Deployment", "StatefulSet"} and one["metadata"]["name"] == workload
        ]
        places = {port[1:]: str(here) for port, here in ports.items()}
        pod = self.pods[name] = Pod(self.cluster, manifest, name, places)
        await pod.start()
        return pod

    async def start_servers(self) -> None:
        for number in range(SERVERS):
            name = f"nats-{number}"
            (monitor,) = free_ports(1)
            pod = Pod(
                self.cluster,
                self.cluster.one("StatefulSet", "nats"),
                name,
                {
                    "0.0.0.0:4222": self.cluster.places[f"{name}.nats:4222"],
                    "0.0.0.0:6222": self.cluster.places[f"{name}.nats:6222"],
                    "8222": str(monitor),
                },
            )
            self.pods[name] = pod
            await pod.start()


@asynccontextmanager
async def cluster_in(folder: Path, devnet_port: int | None = None) -> AsyncGenerator[Running]:
    """Yield a cluster without pods; kill the pods that were started in it afterwards."""
    *server_ports, free_port = free_ports(2 * SERVERS + 1)
    devnet = devnet_port or free_port
    places = {"devnet:9944": f"127.0.0.1:{devnet}", "0.0.0.0": "127.0.0.1", "9944": str(devnet)}
    for number in range(SERVERS):
        client, route = server_ports[2 * number : 2 * number + 2]
        places[f"nats-{number}.nats:4222"] = f"127.0.0.1:{client}"
        places[f"nats-{number}.nats:6222"] = f"127.0.0.1:{route}"
    running = Running(Cluster(render(LOCAL), folder, places), {})
    try:
        yield running
    except BaseException:
        for pod in running.pods.values():
            sys.stderr.write(f"--- {pod.name}\n{pod.log[-4000:]}\n")
        raise
    finally:
        for pod in running.pods.values():
            await pod.kill()


async def test_every_container_runs_as_its_manifest_says(tmp_path: Path) -> None:
    async with cluster_in(tmp_path) as running:
        await running.start("devnet", "devnet")
        await running.start_servers()
        for name in list(running.pods):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                await running.pods[name].passes(probe)

        reader_port, signer_port, bridge_port = free_ports(3)
        await running.start("pylon-reader", "reader-0", p8081=reader_port)
        await running.start("pylon-signer", "signer-0", p8081=signer_port)
        bridge = await running.start("pylon-bridge", "bridge-0", p8000=bridge_port)
        for name in ("reader-0", "signer-0", "bridge-0"):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                await running.pods[name].passes(probe)

        url = f"http://127.0.0.1:{bridge.port('http')}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            await _answers(client)
        for server in range(SERVERS):
            assert "JetStream" in running.pods[f"nats-{server}"].log

        for name in ("bridge-0", "reader-0", "signer-0"):
            assert await running.pods[name].stop() == 0
        for number in range(SERVERS):
            assert await running.pods[f"nats-{number}"].stop() in {0, 1}


async def _answers(client: httpx.AsyncClient) -> None:
    open_headers = {"Authorization": "Bearer local-open-access-token"}
    response = await client.get("/api/v1/subnet/1/block/latest/neurons", headers=open_headers)
    assert response.status_code == 200
    assert len(response.json()["neurons"]) == 256

    identity_headers = {"Authorization": "Bearer devnet-sn1-token"}
    path = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
    assert (await client.get(path, headers=identity_headers)).status_code == 200
    assert (await client.get(path, headers=open_headers)).status_code == 403
    # Every worker, also a reader, knows the hotkey of the identity, which has no commitment.
    responses = [
        await client.get(
            "/api/v1/identity/sn1/subnet/1/block/latest/commitments/self", headers=identity_headers
        )
        for _ in range(16)
    ]
    assert {response.status_code for response in responses} == {404}
    assert (await client.get("/metrics")).status_code == 403
    metrics_headers = {"Authorization": "Bearer local-metrics-token"}
    assert "pylon_requests_total" in (await client.get("/metrics", headers=metrics_headers)).text


READERS = sized(usual=10, full=50)
PAUSE_S = 0.5
WRITE_EVERY_S = 1.0
IDLE_SHARE = 9
"""Minimum pause of a client, as a multiple of the duration of its last request: the load must leave
CPU time for the workloads that are rolled out."""


@dataclass
class Load:
    """Readers and a writer, as clients with their usual retries.

    Attributes:
        reads: number of reads by outcome: "answered", "wrong" or the error.
        writes: number of writes by outcome: "accepted" or the error.
        accepted: ids of the accepted writes.
    """

    url: str
    hotkeys: list[Hotkey]
    reads: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self) -> AsyncPylonClient:
        return AsyncPylonClient(
            AsyncConfig(
                address=self.url,
                open_access_token="local-open-access-token",
                identity_name="sn1",
                identity_token="devnet-sn1-token",
            )
        )

    async def read(self) -> None:
        async with self.client() as client:
            while not self.stopping.is_set():
                started_s = time.monotonic()
                try:
                    neurons = await client.open_access.get_latest_neurons(NetUid(2))
                    self.reads["answered" if len(neurons.neurons) == 16 else "wrong"] += 1
                except BasePylonException as error:
                    self.reads[f"{type(error).__name__}: {error}"] += 1
                await asyncio.sleep(max(PAUSE_S, IDLE_SHARE * (time.monotonic() - started_s)))

    async def write(self) -> None:
        async with self.client() as client:
            while not self.stopping.is_set():
                started_s = time.monotonic()
                weights = {hotkey: Weight(1.0 + len(self.accepted)) for hotkey in self.hotkeys[:1]}
                weights |= {hotkey: Weight(1.0) for hotkey in self.hotkeys[1:3]}
                try:
                    scheduled = await client.identity.put_weights(weights)
                    self.accepted.append(scheduled.job_id)
                    self.writes["accepted"] += 1
                except BasePylonException as error:
                    self.writes[f"{type(error).__name__}: {error}"] += 1
                pause_s = max(WRITE_EVERY_S, IDLE_SHARE * (time.monotonic() - started_s))
                await asyncio.sleep(pause_s)


@pytest.mark.slow
async def test_every_workload_is_rolled_under_load_without_a_failed_request(
    tmp_path: Path,
) -> None:
    options = DevnetOptions(port=0, block_time_s=1, past_blocks=20)
    async with (
        Devnet(options) as devnet,
        cluster_in(tmp_path, int(devnet.url.rsplit(":", 1)[1].strip("/"))) as running,
        Balancer() as balancer,
    ):
        await running.start_servers()
        for number in range(SERVERS):
            await running.pods[f"nats-{number}"].passes("readinessProbe")
        for number in range(2):
            for workload in ("signer", "reader", "bridge"):  # readers are fed by signers
                await _join(running, balancer, workload, f"{workload}-{number}")

        load = await _load(balancer)
        async with AsyncExitStack() as stack:
            working = [asyncio.create_task(load.read()) for _ in range(READERS)]
            working.append(asyncio.create_task(load.write()))
            stack.callback(lambda: [task.cancel() for task in working])
            await comes_true(lambda: _seen(load, READERS))
            for number in range(2):
                for workload in ("bridge", "reader"):
                    # A Deployment starts the new pod first.
                    await _join(running, balancer, workload, f"{workload}-{number + 2}")
                    await _leave(running, balancer, f"{workload}-{number}")
                # A StatefulSet stops the old pod first.
                await _leave(running, balancer, f"signer-{number}")
                await _join(running, balancer, "signer", f"signer-{number}")
            for number in range(SERVERS):
                server = running.pods[f"nats-{number}"]
                await server.stop()
                await server.start()
                await server.passes("readinessProbe")
            enough = load.reads["answered"] + READERS
            await comes_true(lambda: _seen(load, enough))
            load.stopping.set()
            await asyncio.gather(*working)

        sys.stdout.write(f"reads {dict(load.reads)}, writes {dict(load.writes)}\n")
        assert set(load.reads) == {"answered"}
        assert set(load.writes) == {"accepted"}
        await _assert_each_write_applied_once(load, devnet)


async def _seen(load: Load, reads: int) -> bool:
    return load.reads["answered"] >= reads or len(load.reads) > 1


async def _load(balancer: Balancer) -> Load:
    load = Load(f"http://127.0.0.1:{balancer.port}", [])
    async with load.client() as client:
        neurons = await client.open_access.get_latest_neurons(NetUid(1))
    load.hotkeys = list(neurons.neurons)
    return load


async def _join(running: Running, balancer: Balancer, workload: str, name: str) -> None:
    (port,) = free_ports(1)
    ports = {"p8000": port} if workload == "bridge" else {"p8081": port}
    pod = await running.start(f"pylon-{workload}", name, **ports)
    await pod.passes("readinessProbe")
    if workload == "bridge":
        balancer.ports.append(port)


async def _leave(running: Running, balancer: Balancer, name: str) -> None:
    pod = running.pods.pop(name)
    if name.startswith("bridge"):
        balancer.ports.remove(pod.port("http"))
    try:
        assert await pod.stop() == 0, pod.log
    finally:
        await pod.kill()


async def _assert_each_write_applied_once(load: Load, devnet: Devnet) -> None:
    async with load.client() as client:
        listed = (await client.identity.get_jobs()).jobs
        assert sorted(job.job_id for job in listed) == sorted(load.accepted)

        jobs: list[Job] = []

        async def all_settled() -> bool:
            nonlocal jobs
            included = len(devnet.applied_extrinsics())
            jobs = (await client.identity.get_jobs()).jobs
            newest, *older = jobs
            assert newest.job_id == load.accepted[-1]
            is_settled = newest.has_ended or newest.state is JobState.WAITING
            # The counts below must be taken at one moment.
            is_one_moment = included == len(devnet.applied_extrinsics())
            return is_settled and is_one_moment and all(job.has_ended for job in older)

        await comes_true(all_settled)
        applied = [one for one in devnet.applied_extrinsics() if "weights" in one.call]
    states = Counter(job.state for job in jobs)
    sys.stdout.write(f"jobs {dict(states)}\n")
    assert states.total() == len(load.accepted)
    assert set(states) <= {*SUCCEEDED, JobState.SUPERSEDED, JobState.WAITING}
    succeeded = [job for job in jobs if job.has_succeeded]
    assert len([one for one in applied if one.error is None]) == len(succeeded) > 0
