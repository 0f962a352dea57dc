"""Keys in the URL of a node are shown nowhere: not in metrics, probes, or the log."""

import re
from pathlib import Path

import httpx

from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.leaks import known_secrets, leaks_in
from tests.support.product.secret_texts import secret_of, with_keys
from tests.support.product.worker_process import READY, worker_process

TOKEN = secret_of("metrics")


async def test_a_worker_shows_its_nodes_by_host_and_port(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        DevnetProcess(tmp_path) as devnet,
        worker_process(
            tmp_path,
            server.url,
            devnet.url,
            PYLON_BITTENSOR_ARCHIVE_NETWORK=with_keys(devnet.url),
            PYLON_HEALTH_PORT="0",
            PYLON_METRICS_TOKEN=TOKEN,
        ) as worker,
    ):
        await worker.logs(READY)
        found = re.search(r"Health and metrics on (http://\S+)", worker.log)
        assert found is not None
        await devnet.kill()
        await worker.logs("Cannot connect to")
        async with httpx.AsyncClient(
            base_url=found[1], trust_env=False, timeout=HANGS_AFTER_S
        ) as http:
            authorization = {"Authorization": f"Bearer {TOKEN}"}
            shown = [
                (await http.get(path, headers=authorization)).text
                for path in ("/metrics", "/livez", "/readyz")
            ]
        await devnet.start()
    assert f"127.0.0.1:{devnet.port}" in shown[0]
    for text in (*shown, worker.log):
        assert leaks_in(text.encode(), known_secrets()) == []
