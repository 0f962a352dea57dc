"""A bare connection to NATS with nats-py, which leaves types of its parameters open."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg


@asynccontextmanager
async def connect_bare(url: str) -> AsyncGenerator[Client]:
    """Connect within the block."""
    client = await nats.connect(url)  # pyright: ignore[reportUnknownMemberType] -- untyped callbacks
    try:
        yield client
    finally:
        await client.close()


async def subscribe(
    client: Client, subject: str, callback: Callable[[Msg], Awaitable[None]]
) -> None:
    """Subscribe, and return when the server knows it."""
    await client.subscribe(subject, cb=callback)  # pyright: ignore[reportUnknownMemberType] -- the library leaves a parameter open
    await client.flush()
