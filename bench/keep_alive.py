"""An HTTP client with little overhead, so that the comparison is between the servers."""

import asyncio
from typing import Self
from urllib.parse import urlsplit


class KeepAlive:
    """A connection that requests one path again and again.

    Args:
        url: of the server.
        path: of the requests.
    """

    def __init__(self, url: str, path: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, limit=4 * 1024 * 1024
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def get(self) -> bytes:
        """Return the body of a response.

        Raises:
            ValueError: the response is not a 200 with a length.
        """
        self._writer.write(self._request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise ValueError(head.decode())
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return await self._reader.readexactly(length)
