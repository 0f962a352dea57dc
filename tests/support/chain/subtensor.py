"""A devnet, and the reader of the chain connected to it, through a proxy if needed."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import (
    asynccontextmanager,
)
from typing import Any

import pytest

from pylon.chain.node_connection import ConnectionTimeouts
from pylon.chain.subtensor_reader import SubtensorReader
from pylon_client.contract.failures import FailureError
from pylon_client.contract.models import Neuron, SubnetNeurons
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.tcp_proxy import TcpProxy

LONG_S = 30.0


@asynccontextmanager
async def devnet_with(blocks: int = 10, **options: Any) -> AsyncGenerator[Devnet]:
    """A devnet that makes blocks only on request, unless the options say otherwise."""
    chosen: dict[str, Any] = {"port": 0, "autostart": False} | options
    async with Devnet(DevnetOptions(**chosen)) as devnet:
        await devnet.advance(blocks)
        yield devnet


@asynccontextmanager
async def subtensor_at(
    url: str, patience: ConnectionTimeouts | None = None, **options: Any
) -> AsyncGenerator[SubtensorReader]:
    subtensor = SubtensorReader(url, timeouts=patience, **options)
    try:
        yield subtensor
    finally:
        await subtensor.close()


@asynccontextmanager
async def proxied(devnet: Devnet) -> AsyncGenerator[tuple[TcpProxy, str]]:
    async with TcpProxy(int(devnet.url.rsplit(":", 1)[1])) as proxy:
        yield proxy, f"ws://127.0.0.1:{proxy.port}"


async def failure_of(awaitable: Awaitable[object]) -> FailureError:
    with pytest.raises(FailureError) as caught:
        await awaitable
    return caught.value


def neurons_of(body: bytes) -> list[Neuron]:
    """Return the neurons in the result of a query."""
    return list(SubnetNeurons.model_validate_json(body).neurons.values())
