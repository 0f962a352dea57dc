"""The id of a request in the logs of all processes."""

import json
from pathlib import Path
from typing import Any

from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.eventually import eventually
from tests.support.product.worker_process import READY, worker_process

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
LOGS = {"PYLON_LOG_FORMAT": "json", "PYLON_LOG_LEVEL": "DEBUG"}


def lines_of(log: str, request_id: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("request_id") == request_id]


async def test_a_request_has_one_id_from_http_over_nats_to_the_chain(tmp_path: Path) -> None:
    headers = {"X-Request-Id": "request-of-a-test", "traceparent": f"00-{TRACE}-{'0' * 15}1-01"}
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        worker_process(tmp_path, server.url, devnet.url, **LOGS) as worker,
        BridgeProcess(
            tmp_path, {**bridge_environment(server.url), "PYLON_LOG_FORMAT": "human"}
        ) as bridge,
    ):
        await worker.logs(READY)
        await bridge.until("/health/ready", 200)
        path = "/api/v1/subnet/1/block/latest/commitments"
        response = await bridge.get(path, headers=headers)
        assert response.status_code == 200
        assert response.headers["X-Request-Id"] == "request-of-a-test"
        await bridge.logged(f"status=200 .*request_id=request-of-a-test trace_id={TRACE}")
        await eventually(lambda: lines_of(worker.log, "request-of-a-test"))
        lines = lines_of(worker.log, "request-of-a-test")
        assert any(line["event"].startswith("commitments of ws://") for line in lines)
        assert {line["trace_id"] for line in lines} == {TRACE}
        assert {line["netuid"] for line in lines} == {1}
        assert all(json.loads(line) for line in worker.log.splitlines())
