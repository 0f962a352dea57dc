"""A real Prometheus scrapes a worker and a bridge with the shipped rules."""

import re
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pylon_devnet import Devnet, DevnetOptions
from tests.support.k8s.alert_rules import RULES
from tests.support.k8s.prometheus import prometheus_binary
from tests.support.k8s.prometheus_server import PrometheusServer, prometheus_server
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.eventually import comes_true
from tests.support.product.worker_process import WorkerProcess, worker_process

TOKEN = "my_metrics_token"
OBSERVE = Path(__file__).parents[2] / "deploy" / "observe"
# Series that appear some time after the start: a deployment that starts must not fire any alert.
EXPECTED_SERIES = (
    'pylon_build_info{component="worker"}',
    'pylon_nats_connected{component="bridge"} == 1',
    'pylon_nats_connected{component="worker"} == 1',
    "pylon_chain_head_age_seconds",
    "pylon_publisher_leader == 1",
    "pylon_last_published_age_seconds",
)
# Alerts that fire if the only worker is down.
_ENDED = {"PylonWorkersDown", "PylonTargetDown"}


@dataclass
class Watched:
    """Prometheus and its targets."""

    prometheus: PrometheusServer
    worker: WorkerProcess
    bridge: BridgeProcess

    async def evaluated(self, times: int = 2) -> None:
        """Wait until all rules have been evaluated a number of times from now on."""
        before = await self.prometheus.evaluations()

        async def again() -> bool:
            return await self.prometheus.evaluations() >= before + times

        await comes_true(again)


def configuration(folder: Path, targets: dict[str, list[str]]) -> Path:
    """Write the shipped configuration with these targets by job, and rules without `for`."""
    shutil.copytree(OBSERVE, folder)
    (folder / "metrics-token").write_text(TOKEN)
    config: dict[str, Any] = yaml.safe_load((folder / "prometheus-compose.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": targets.get(job["job_name"], [])}]
    rules = yaml.safe_load((folder / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncGenerator[Watched]:
    prometheus_binary("prometheus")
    settings = {
        "PYLON_HEALTH_PORT": "0",
        "PYLON_METRICS_TOKEN": TOKEN,
    }
    (tmp_path / "bridge").mkdir()
    async with (
        NatsServer(tmp_path) as nats,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        worker_process(tmp_path, nats.url, devnet.url, **settings) as worker,
        BridgeProcess(
            tmp_path / "bridge", bridge_environment(nats.url, metrics_token=TOKEN)
        ) as bridge,
    ):
        await worker.logs("Health and metrics on http")
        health = re.search(r"Health and metrics on http://(\S+)", worker.log)
        assert health is not None
        targets = {
            "pylon-bridge": [bridge.url.removeprefix("http://")],
            "pylon-signer": [health[1]],
        }
        config = configuration(tmp_path / "observe", targets)
        async with prometheus_server(tmp_path / "data", config) as prometheus:
            yield Watched(prometheus, worker, bridge)


async def test_alerts_fire_only_after_the_worker_was_killed(
    watched: Watched,
) -> None:
    prometheus = watched.prometheus
    for expression in EXPECTED_SERIES:
        await prometheus.has(expression)
    await watched.evaluated()

    async def is_quiet() -> bool:
        return await prometheus.alerts() == {}

    await comes_true(is_quiet)
    scraped = await prometheus.query("up")
    assert {(one["metric"]["job"], one["value"][1]) for one in scraped} == {
        ("pylon-bridge", "1"),
        ("pylon-signer", "1"),
    }

    await watched.worker.kill()

    async def alerts_fire() -> bool:
        return set(await prometheus.alerts()) >= _ENDED

    await comes_true(alerts_fire)
    assert set((await prometheus.alerts()).values()) <= {"firing", "pending"}
    assert "PylonBridgeDown" not in await prometheus.alerts()
    assert {rule["alert"] for rule in RULES} >= set(await prometheus.alerts())
