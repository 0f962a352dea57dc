"""A Kubernetes Service: each new connection goes to one of the ready endpoints."""

import asyncio
import contextlib
import random
from types import TracebackType
from typing import Self

from tests.support.product.eventually import HANGS_AFTER_S

CHUNK_BYTES = 65_536


class Balancer:
    """A TCP load balancer: `async with Balancer() as balancer:`.

    Attributes:
        port: its own port.
        ports: the endpoints that accept new connections.
    """

    def __init__(self) -> None:
        self.port = 0
        self.ports: list[int] = []
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, IndexError):
            port = random.choice(self.ports)  # noqa: S311 -- no secret
            async with asyncio.timeout(HANGS_AFTER_S):
                to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(to_writer):
                ways = (_copy(reader, to_writer), _copy(to_reader, writer))
                tasks = {asyncio.ensure_future(way) for way in ways}
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in tasks:
                        way.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
