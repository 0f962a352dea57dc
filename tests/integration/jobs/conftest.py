"""A devnet, NATS, workers between them that are started and stopped at will, and identities.

A module that uses these fixtures runs in one loop: `pytest.mark.asyncio(loop_scope="module")`.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from pylon_client._async.identity import AsyncIdentity
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.sdk_home import sdk_home
from tests.support.nats.replicas import Nats, address, nats, nats_servers
from tests.support.product.job_deployment import Deployment, IdentityOf, make_wallets

__all__ = ["address", "nats", "nats_servers", "sdk_home"]


@pytest_asyncio.fixture(loop_scope="module")
async def devnet() -> AsyncGenerator[Devnet]:
    """Blocks come fast and by themselves; the epochs are long enough for any test."""
    options = DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=2000, active=False)
    async with Devnet(options) as node:
        yield node


@pytest_asyncio.fixture(loop_scope="module")
async def deployment(tmp_path: Path, devnet: Devnet, nats: Nats, address: str) -> Deployment:
    make_wallets(tmp_path, devnet)
    return Deployment(tmp_path, nats, devnet, address)


@pytest_asyncio.fixture(loop_scope="module")
async def identity(deployment: Deployment) -> AsyncGenerator[IdentityOf]:
    """What an identity may ask for, by its name."""
    async with AsyncExitStack() as stack:

        async def enter(name: str) -> AsyncIdentity:
            return await stack.enter_async_context(deployment.identity(name))

        yield enter
