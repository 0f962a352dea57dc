"""A NATS client without any validation, for messages that client libraries refuse to send."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.product.eventually import HANGS_AFTER_S

OnMessage = Callable[[bytes, bytes, bytes, bytes], None]
"""A callback with a message's subject, its reply subject, its block of headers and its body."""


def header_block(*fields: tuple[bytes, bytes]) -> bytes:
    """Return headers in their wire format, unchecked."""
    return b"NATS/1.0\r\n" + b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n"


class RawNats:
    """A NATS connection: `async with RawNats(url, user, password, on_message) as raw:`.

    Args:
        url: URL of the server.
        user: name of the user; None to connect without credentials.
        password: password of the user.
        on_message: called with each message.

    Attributes:
        errors: texts of the errors that the server has reported.
    """

    def __init__(self, url: str, user: str | None, password: str, on_message: OnMessage) -> None:
        self.errors: list[str] = []
        self._url = urlsplit(url)
        self._user = user
        self._password = password
        self._on_message = on_message
        self._pongs: list[asyncio.Future[None]] = []
        self._subscriptions = 0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._url.hostname, self._url.port, limit=16 * 1024 * 1024
        )
        options: dict[str, Any] = {"verbose": False, "pedantic": False, "headers": True}
        if self._user is not None:
            options |= {"user": self._user, "pass": self._password}
        self._writer.write(b"CONNECT %b\r\n" % json.dumps(options).encode())
        self._reading = asyncio.create_task(self._read())
        await self.flush()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def subscribe(self, subject: str) -> None:
        self._subscriptions += 1
        self._writer.write(b"SUB %b %d\r\n" % (subject.encode(), self._subscriptions))

    def publish(
        self, subject: bytes, body: bytes = b"", *, reply: bytes = b"", headers: bytes = b""
    ) -> None:
        """Send a message; `flush` returns when the server has processed it."""
        sizes = (
            b"%d %d" % (len(headers), len(headers) + len(body)) if headers else b"%d" % len(body)
        )
        verb = b"HPUB" if headers else b"PUB"
        self._writer.write(
            b"%b %b %b %b\r\n%b%b\r\n" % (verb, subject, reply, sizes, headers, body)
        )

    async def drain(self) -> None:
        """Wait until all written bytes are sent."""
        await self._writer.drain()

    async def flush(self) -> None:
        """Return when the server has processed everything that was sent before."""
        pong = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        self._writer.write(b"PING\r\n")
        async with asyncio.timeout(HANGS_AFTER_S):
            await asyncio.wait({pong, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        assert pong.done(), f"the server has closed the connection: {self.errors[-1:]}"

    async def _read(self) -> None:
        while line := await self._reader.readline():
            verb, *arguments = line.split()
            match verb:
                case b"MSG" | b"HMSG":
                    content = await self._reader.readexactly(int(arguments[-1]) + 2)
                    cut = int(arguments[-2]) if verb == b"HMSG" else 0
                    reply = b"".join(arguments[2 : -2 if verb == b"HMSG" else -1])
                    self._on_message(arguments[0], reply, content[:cut], content[cut:-2])
                case b"PING":
                    self._writer.write(b"PONG\r\n")
                case b"PONG":
                    self._pongs.pop(0).set_result(None)
                case b"-ERR":
                    self.errors.append(line.decode(errors="replace").strip())
                case _:
                    pass
