"""A TCP proxy in front of a server, which counts connections and can break them."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class TcpProxy:
    """`async with TcpProxy(port) as proxy:` forwards `proxy.port` to the server's port.

    Attributes:
        accepted: number of connections so far.
        open: connections that neither side has closed.
        server_port: the server's port for new connections.
        mute: while set, data from the server is dropped, and the connection stays open.
        flows: while it is not set, data of both sides is held back, to be sent later.
    """

    def __init__(self, server_port: int) -> None:
        self.accepted = 0
        self.open = 0
        self.mute = False
        self.flows = asyncio.Event()
        self.flows.set()
        self.port = 0
        self.server_port = server_port
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.open_listener()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open_listener(self) -> None:
        """Accept connections, after `close` at the same port as before."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Break every connection, and accept no more."""
        assert self._listener is not None
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """Break every connection."""
        self.flows.set()
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        self.open += 1
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", self.server_port)
                self._writers.add(there[1])
                await asyncio.gather(
                    self._pump(reader, there[1], from_server=False),
                    self._pump(there[0], writer, from_server=True),
                )
                there[1].close()
        finally:
            self.open -= 1
            writer.close()
            self._tasks.discard(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self.flows.wait()
                if not (from_server and self.mute):
                    sink.write(data)
                    await sink.drain()
        sink.close()
