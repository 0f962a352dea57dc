"""Every worker knows the newest stored block, whichever of them publishes."""

from pathlib import Path

from pylon.worker.main import Worker
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import eventually
from tests.support.product.running_worker import worker_on


def metric(worker: Worker, name: str) -> float:
    return worker.metrics.registry.get_sample_value(name) or 0.0


async def test_a_worker_that_does_not_publish_shows_it_too(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        worker_on(server.url, devnet.url) as publisher,
    ):
        await eventually(lambda: metric(publisher, "pylon_last_published_block") > 0)
        async with worker_on(server.url, devnet.url) as other:
            published = metric(publisher, "pylon_last_published_block")
            await eventually(lambda: metric(other, "pylon_last_published_block") >= published)
            assert metric(other, "pylon_publisher_leader") == 0
            assert metric(publisher, "pylon_publisher_leader") == 1

            # Both count on from the last block while the chain makes none.
            devnet.pause()
            for worker in (publisher, other):
                await eventually(
                    lambda: metric(worker, "pylon_last_published_age_seconds") > 1  # noqa: B023 -- awaited here
                )
