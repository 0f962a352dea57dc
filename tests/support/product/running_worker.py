"""A worker in the test's own process, and the events that it has published."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import nats.errors
from nats.js.client import JetStreamContext

from pylon.worker.main import Worker
from pylon.worker.settings import WorkerSettings
from pylon_client.contract import headers
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import NetUid
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.secret_texts import with_keys


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[NatsConnection]:
    connection = await connect(ConnectionOptions(urls=(url,), name="test"))
    try:
        yield connection
    finally:
        await connection.close()


def worker_settings(
    nats_url: str,
    chain_url: str,
    netuids: Sequence[int] = (1,),
    head_silence_s: float = 36.0,
) -> WorkerSettings:
    return WorkerSettings(
        nats_url=nats_url,
        bittensor_network=with_keys(chain_url),
        bittensor_archive_network="",
        tracked_netuids=[NetUid(netuid) for netuid in netuids],
        head_silence_seconds=head_silence_s,
    )


@asynccontextmanager
async def worker_on(
    nats_url: str,
    chain_url: str,
    *,
    netuids: Sequence[int] = (1,),
    head_silence_s: float = 36.0,
) -> AsyncGenerator[Worker]:
    """Run a worker on some subnets within the block."""
    async with running(worker_settings(nats_url, chain_url, netuids, head_silence_s)) as worker:
        yield worker


@asynccontextmanager
async def running(settings: WorkerSettings) -> AsyncGenerator[Worker]:
    """Run a worker within the block, and stop it afterwards."""
    worker = Worker(settings)
    stop = asyncio.Event()
    working = asyncio.create_task(worker.run(stop))
    ready = asyncio.create_task(worker.ready.wait())
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            await asyncio.wait({working, ready}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        yield worker
    finally:
        ready.cancel()
        stop.set()
        await working


class Published:
    """`async with Published(connection) as published:` collects all messages of the event stream.

    Attributes:
        by_sequence: subject and block number of each message, by its sequence in the stream.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self.by_sequence: dict[int, tuple[str, int]] = {}
        self._stream = JetStreamContext(connection.nats, timeout=2)
        self._next = 1

    async def __aenter__(self) -> Self:
        self._gathering = asyncio.create_task(self._gather())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gathering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._gathering

    def numbers(self, subject: str) -> list[int]:
        """Return the block numbers of a subject's messages, in the order of the stream."""
        return [number for _, (of, number) in sorted(self.by_sequence.items()) if of == subject]

    async def _gather(self) -> None:
        while True:
            with contextlib.suppress(nats.errors.Error, OSError):
                state = (await self._stream.stream_info(EVENTS.name)).state
                self._next = max(self._next, state.first_seq)
                while self._next <= state.last_seq:
                    message = await self._stream.get_msg(EVENTS.name, self._next, direct=True)
                    number = int((message.headers or {})[headers.BLOCK_NUMBER])
                    self.by_sequence[self._next] = (message.subject or "", number)
                    self._next += 1
            raise_if_cancelled()
            await asyncio.sleep(0.05)
