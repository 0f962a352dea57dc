"""The containers of the local overlay, their commands really run, three NATS servers among them."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.kustomize import render
from tests.support.pod import Cluster, Pod
from tests.support.product import free_ports

LOCAL = Path(__file__).parents[2] / "deploy" / "k8s" / "overlays" / "local"
SERVERS = 3


@dataclass
class Running:
    """The pods that run, by name."""

    cluster: Cluster
    pods: dict[str, Pod]

    async def start(self, workload: str, name: str, **ports: int) -> Pod:
        """Start a pod of a workload; ports are those of its container, with a letter before."""
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
async def cluster_in(folder: Path) -> AsyncGenerator[Running]:
    """The cluster's addresses, and no pod yet; all of them are ended afterwards."""
    *server_ports, devnet = free_ports(2 * SERVERS + 1)
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


@pytest.mark.timeout(300)
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
    opened = {"Authorization": "Bearer local-open-access-token"}
    response = await client.get("/api/v1/subnet/1/block/latest/neurons", headers=opened)
    assert response.status_code == 200
    assert len(response.json()["neurons"]) == 256

    own = {"Authorization": "Bearer devnet-sn1-token"}
    path = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
    assert (await client.get(path, headers=own)).status_code == 200
    assert (await client.get(path, headers=opened)).status_code == 403
    assert (await client.get("/metrics")).status_code == 403
    told = {"Authorization": "Bearer local-metrics-token"}
    assert "pylon_requests_total" in (await client.get("/metrics", headers=told)).text
