"""Several workers share the subnets: each block of each subnet is read and published once."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.product.publishing_cluster import PublishingCluster, publishing_cluster
from tests.support.product.worker_process import leader_among


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncGenerator[PublishingCluster]:
    async with publishing_cluster(tmp_path) as running:
        yield running


async def test_workers_share_the_subnets_and_take_over_those_of_killed_ones(
    cluster: PublishingCluster,
) -> None:
    leader = await cluster.add_worker()
    await cluster.advance()
    await cluster.advance_until_shared(1)
    await cluster.add_worker()
    await cluster.add_worker()
    await cluster.advance_until_shared(3)
    await cluster.advance()
    cluster.check()

    # A worker that does not publish the blocks.
    other = next(worker for worker in cluster.workers if worker is not leader)
    await other.kill()
    await cluster.advance()  # the others take over its subnets of this block
    await cluster.advance_until_shared(2)
    cluster.check()

    await cluster.add_worker()
    await cluster.advance_until_shared(3)
    await leader.kill()
    await cluster.advance()
    assert await leader_among([w for w in cluster.workers if w is not leader]) is not leader
    await cluster.advance_until_shared(2)
    cluster.check()


async def test_after_a_restart_of_all_workers_missing_snapshots_are_published(
    cluster: PublishingCluster,
) -> None:
    first, second = await cluster.add_worker(), await cluster.add_worker()
    await cluster.advance()
    await cluster.advance_until_shared(2)
    await first.kill()
    await second.kill()
    await cluster.devnet.advance(2)
    await cluster.add_worker()
    await cluster.settled(cluster.devnet.best_number)
    cluster.check()
