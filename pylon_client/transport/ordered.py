"""The NATS library's client, with one promise more: a flush comes after what it flushes."""

import asyncio
from typing import Any

from nats.aio.client import PING_PROTO, Client


class OrderedClient(Client):
    """A client whose `flush` and `drain` return after the server has seen what was sent before.

    The library queues what it sends, but writes the PING of a flush past that queue: the answer
    may then come before the server has seen a SUB, so that a first request finds nobody, or an
    UNSUB, so that a drained subscription loses what is still delivered.
    """

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        if not self.is_connected:
            await super()._send_ping(future)  # pyright: ignore[reportUnknownMemberType] -- the library's futures are of anything
            return
        self._pongs.append(future or asyncio.get_running_loop().create_future())  # pyright: ignore[reportUnknownMemberType] -- the same
        await self._send_command(PING_PROTO)
        await self._flush_pending()
