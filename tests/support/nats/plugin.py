"""Fixtures of NATS with one server and with three, for tests that must pass on both.

A module that uses these fixtures runs in one loop: `pytest.mark.asyncio(loop_scope="module")`.
Imports of the product are in the fixtures, so that unit tests do not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.nats.replicas import Nats


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[1, 3], ids=["one-server", "three-servers"]
)
async def nats_servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Nats]:
    """Start the servers once for a module."""
    from pylon.nats_server.permissions import authorization_config
    from tests.support.nats.nats_cluster import NatsCluster
    from tests.support.nats.nats_server import NatsServer
    from tests.support.nats.replicas import Nats
    from tests.support.product.deployment import deployment_settings
    from tests.support.product.job_deployment import SUBNETS

    folder = tmp_path_factory.mktemp("nats")
    users = authorization_config(deployment_settings(identities={"alice": 1, **SUBNETS}))
    servers = NatsServer(folder, users) if request.param == 1 else NatsCluster(folder, users)
    async with servers:
        yield Nats(servers)


@pytest_asyncio.fixture(loop_scope="module")
async def nats(nats_servers: Nats) -> AsyncGenerator[Nats]:
    """Return the servers without any stream."""
    yield nats_servers
    await nats_servers.reset()


@pytest.fixture
def fake_nats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new connections use `FakeNatsClient` instead of a server."""
    from pylon_client.nats import connection_lifecycle
    from tests.support.nats.fake_nats_client import FakeNatsClient

    monkeypatch.setattr(connection_lifecycle, "PylonNatsClient", FakeNatsClient)
