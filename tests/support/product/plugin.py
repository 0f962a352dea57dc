"""Fixtures of workers between NATS and a devnet, and of the identities that send requests to them.

A module that uses these fixtures runs in one loop: `pytest.mark.asyncio(loop_scope="module")`.
Imports of the product are in the fixtures, so that unit tests do not wait for them.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    import pytest

    from pylon_client._async.identity import AsyncIdentity
    from pylon_devnet import Devnet
    from tests.support.nats.replicas import Nats
    from tests.support.product.job_deployment import Deployment, IdentityOf


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(
    nats_servers: Nats, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[str]:
    """Return the address for clients: NATS with one server, a bridge to three servers.

    These pairs cover both protocols and both numbers of servers in two runs instead of four.
    """
    from tests.support.product.bridge_process import BridgeProcess, bridge_environment
    from tests.support.product.job_deployment import SUBNETS

    if nats_servers.replicas == 1:
        yield nats_servers.url
        return
    environment = bridge_environment(nats_servers.url, SUBNETS)
    async with BridgeProcess(tmp_path_factory.mktemp("bridge"), environment) as bridge:
        await bridge.until("/health/ready", 200)
        yield bridge.url


@pytest_asyncio.fixture(loop_scope="module")
async def devnet() -> AsyncGenerator[Devnet]:
    """Start a chain with fast automatic blocks, and epochs longer than any test."""
    from pylon_devnet import Devnet, DevnetOptions

    options = DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=2000, active=False)
    async with Devnet(options) as node:
        yield node


@pytest_asyncio.fixture(loop_scope="module")
async def deployment(tmp_path: Path, devnet: Devnet, nats: Nats, address: str) -> Deployment:
    """Return NATS and a devnet; a test starts and stops the workers between them."""
    from tests.support.product.job_deployment import Deployment, make_wallets

    make_wallets(tmp_path, devnet)
    return Deployment(tmp_path, nats, devnet, address)


@pytest_asyncio.fixture(loop_scope="module")
async def identity(deployment: Deployment) -> AsyncGenerator[IdentityOf]:
    """Return a function that connects the client of an identity, by the identity's name."""
    async with AsyncExitStack() as stack:

        async def enter(name: str) -> AsyncIdentity:
            return await stack.enter_async_context(deployment.identity(name))

        yield enter
