"""The client for programs with an event loop."""

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from pylon_client.config import AsyncConfig
from pylon_client.contract.types import BlockNumber
from pylon_client.following import Following
from pylon_client.identity import AsyncIdentity
from pylon_client.open_access import AsyncOpenAccess
from pylon_client.sending import Channel
from pylon_client.transport.base import Call, ReplyT, Stream, Transport


class AsyncPylonClient:
    """Asks Pylon, over HTTP or NATS as the address says, and sends again what may yet succeed.

    Use it in an `async with` block, or call `open()` and `close()`; in one event loop, by any
    number of tasks at a time. Connections are made when they are first needed.

    Args:
        config: where Pylon is, who asks, and how patiently.
        transport: what carries the calls instead of HTTP or NATS, in tests.

    Attributes:
        open_access: what everybody may ask for.
        identity: what the configured identity may ask for.
    """

    def __init__(self, config: AsyncConfig, *, transport: Transport | None = None) -> None:
        self.config = config
        self._channel = Channel(config, transport)
        self.open_access = AsyncOpenAccess(self._send, self._follow)
        self.identity = AsyncIdentity(self._send)

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._channel.is_open

    async def open(self) -> None:
        """Make ready for use; it may be open already."""
        await self._channel.open()

    async def close(self) -> None:
        """Close every connection; it may be closed already, and may be opened again."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _send(self, call: Call[ReplyT]) -> ReplyT:
        # A tenacity object keeps the state of one call per thread, and calls share this one.
        reply: ReplyT = await self.config.retry.copy()(self._channel.attempt, call)
        return reply

    async def _follow(
        self, stream: Stream[ReplyT], *, after: BlockNumber | None, patience_s: float
    ) -> AsyncGenerator[ReplyT]:
        following = Following(self._channel.listen, stream, after, patience_s)
        try:
            await self.config.retry.copy()(following.connect)
            while True:
                yield await following.take()
        finally:
            await following.close()
