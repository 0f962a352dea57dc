"""A devnet, a nats-server, and a runner between them that is stopped and started at will."""

from collections.abc import AsyncGenerator

import pytest

from pylon.devnet import Devnet, DevnetOptions
from tests.support.sdk_home import sdk_home

__all__ = ["sdk_home"]


@pytest.fixture
async def devnet() -> AsyncGenerator[Devnet]:
    """Blocks come fast and by themselves; the epochs are long enough for any test."""
    options = DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=2000, active=False)
    async with Devnet(options) as node:
        yield node
