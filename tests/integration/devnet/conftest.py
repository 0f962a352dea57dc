"""A devnet that makes blocks only on request, and the unmodified SDK connected to it."""

from collections.abc import AsyncGenerator

import bittensor
import pytest

from pylon_devnet import Devnet, DevnetOptions


@pytest.fixture
async def devnet() -> AsyncGenerator[Devnet]:
    options = DevnetOptions(port=0, block_time_s=0.25, autostart=False, tempo_blocks=20)
    async with Devnet(options) as node:
        await node.advance(10)
        yield node


@pytest.fixture
async def client(devnet: Devnet) -> AsyncGenerator[bittensor.Client]:
    async with bittensor.Client(devnet.url) as connected:
        devnet.clear_requests()
        yield connected


@pytest.fixture
async def live() -> AsyncGenerator[Devnet]:
    """A devnet whose blocks come by themselves, fast."""
    async with Devnet(DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=60)) as node:
        yield node


@pytest.fixture
async def writer(live: Devnet) -> AsyncGenerator[bittensor.Client]:
    async with bittensor.Client(live.url) as connected:
        yield connected
