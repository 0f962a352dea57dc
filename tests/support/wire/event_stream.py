"""A subscriber to a stream of server-sent events, and the events that it received."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.product.eventually import HANGS_AFTER_S, eventually


class EventStream:
    """A subscriber's stream of server-sent events.

    Attributes:
        status: status of the response.
        ids: ids of the events, in the order of arrival.
        events: name and data of every event.
        comments: number of comments received.
        has_ended: whether the server has ended it.
    """

    def __init__(self) -> None:
        self.status = 0
        self.ids: list[int] = []
        self.events: list[tuple[str, Any]] = []
        self.comments = 0
        self.has_ended = False

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    async def has(self, count: int) -> None:
        """Wait until a number of events with ids has arrived."""
        await eventually(lambda: len(self.ids) >= count)

    async def reaches(self, number: int) -> None:
        """Wait until the event of a block, or of a later block, has arrived."""
        await eventually(lambda: bool(self.ids) and self.ids[-1] >= number)

    async def ends(self) -> None:
        """Wait for the server to end it."""
        await eventually(lambda: self.has_ended)

    async def _read(self, response: httpx.Response) -> None:
        fields: dict[str, str] = {}
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if not line:
                self._take(fields)
                fields = {}
            else:
                fields[name] = value
        self.has_ended = True

    def _take(self, fields: Mapping[str, str]) -> None:
        if "data" not in fields:
            self.comments += 1
            return
        self.events.append((fields["event"], json.loads(fields["data"])))
        if "id" in fields:
            self.ids.append(int(fields["id"]))

    @classmethod
    @asynccontextmanager
    async def of(
        cls, client: httpx.AsyncClient, path: str, last_id: int | None = None
    ) -> AsyncGenerator["EventStream"]:
        """Subscribe to a stream within the block; its status must be 200."""
        stream = cls()
        headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        async with client.stream("GET", path, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            stream.status = response.status_code
            reading = asyncio.create_task(stream._read(response))
            try:
                yield stream
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


def listening_client(url: str) -> httpx.AsyncClient:
    """Return a client without a limit of open streams."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=url, timeout=HANGS_AFTER_S, limits=limits, trust_env=False)
