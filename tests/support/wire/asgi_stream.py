"""A subscriber to a stream of an app in this process."""

import asyncio
from typing import Any

import httpx
from starlette.types import Message

from tests.support.product.eventually import eventually


class Stream:
    """A GET of a stream of an app in this process, without the buffer of httpx's ASGI transport."""

    def __init__(self, client: httpx.AsyncClient, path: str, **headers: str) -> None:
        transport: Any = client._transport
        self.status = 0
        self.body = b""
        self.left = asyncio.Event()
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": raw,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("bridge", 80),
            "root_path": "",
        }
        self.task = asyncio.create_task(transport.app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        self.body += message.get("body", b"")

    async def has(self, text: str) -> None:
        await eventually(lambda: text.encode() in self.body)

    async def leave(self) -> None:
        self.left.set()
        await self.task
