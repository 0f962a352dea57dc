"""A devnet, a nats-server, and a runner between them that is stopped and started at will."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pylon.devnet import Devnet, DevnetOptions
from pylon.messaging.permissions import authorization
from pylon_client.transport.connection import ConnectionOptions, connect
from tests.support.deployment import deployment_settings, token_of
from tests.support.job_deployment import SUBNETS, Asker, Deployment, make_wallets
from tests.support.nats_server import NatsServer
from tests.support.sdk_home import sdk_home

__all__ = ["sdk_home"]


@pytest.fixture
async def devnet() -> AsyncGenerator[Devnet]:
    """Blocks come fast and by themselves; the epochs are long enough for any test."""
    options = DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=2000, active=False)
    async with Devnet(options) as node:
        yield node


@pytest.fixture
async def deployment(tmp_path: Path, devnet: Devnet) -> AsyncGenerator[Deployment]:
    make_wallets(tmp_path, devnet)
    settings = deployment_settings(identities=SUBNETS)
    async with NatsServer(tmp_path, authorization(settings)) as server:
        yield Deployment(tmp_path, server, devnet)


@pytest.fixture
async def asker(deployment: Deployment) -> AsyncGenerator[Any]:
    async with AsyncExitStack() as stack:

        async def make(name: str) -> Asker:
            options = ConnectionOptions(
                urls=(deployment.server.url,), user=name, password=token_of(name)
            )
            connection = await connect(options)
            stack.push_async_callback(connection.close)
            return Asker(name, connection)

        yield make
