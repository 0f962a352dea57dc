"""Workers of this and the previous release publish the same subnets during an upgrade."""

from pathlib import Path

import pytest

from tests.support.product.previous_release import previous_release
from tests.support.product.publishing_cluster import publishing_cluster

LEADS = ": Publishing "


@pytest.mark.usefixtures("sdk_home")
async def test_each_snapshot_is_published_once_whichever_release_leads(tmp_path: Path) -> None:
    of_previous = {"PYTHONPATH": str(previous_release(tmp_path / "previous"))}
    async with publishing_cluster(tmp_path) as cluster:
        old = await cluster.add_worker(**of_previous)
        await old.logs(LEADS)
        await cluster.advance()
        new = await cluster.add_worker()
        for _ in range(2):
            await cluster.advance()
        assert cluster.publishers == [], "the worker of the previous release leads"
        cluster.check()

        # Upgrade, while another worker of the previous release still runs.
        await old.kill()
        await new.logs(LEADS)
        await cluster.advance()
        assert len(cluster.publishers) == 1
        old = await cluster.add_worker(**of_previous)
        for _ in range(2):
            await cluster.advance()
        assert len(cluster.publishers) == 1
        cluster.check()

        # Rollback.
        await new.kill()
        await old.logs(LEADS)
        await cluster.advance()
        assert cluster.publishers == []
        await cluster.add_worker()
        await cluster.advance()
        cluster.check()
