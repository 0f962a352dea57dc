"""A parser of server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Final

from pylon_client.errors import PylonResponseException

MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""Maximum size of one event in bytes; Pylon's events are smaller."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One server-sent event.

    Attributes:
        kind: the event's name.
        data: its data lines, joined with line feeds.
        id: the event's id, if any.
        retry_s: delay before a reconnect in seconds, if the event has one.
    """

    kind: str
    data: bytes
    id: str | None = None
    retry_s: float | None = None


async def parse_sse(chunks: AsyncIterable[bytes]) -> AsyncGenerator[ServerSentEvent]:
    """Yield the events of a response; comments are skipped.

    Only LF and CR LF end a line. Other line separators may occur within JSON.

    Args:
        chunks: the bytes of the response, split anywhere.

    Raises:
        PylonResponseException: an event exceeds `MAX_EVENT_BYTES`.
    """
    rest = b""
    fields: dict[str, list[bytes]] = {}
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise PylonResponseException(f"An event of Pylon exceeds {MAX_EVENT_BYTES} bytes")
        for ended in lines:
            line = ended.removesuffix(b"\r")
            if line:
                name, _, value = line.partition(b":")
                fields.setdefault(name.decode(), []).append(value.removeprefix(b" "))
            elif fields:
                if "event" in fields or "data" in fields:
                    yield _parse_event(fields)
                fields = {}


def _parse_event(fields: dict[str, list[bytes]]) -> ServerSentEvent:
    kind = fields.get("event", [b"message"])[-1].decode()
    identifier = fields["id"][-1].decode() if "id" in fields else None
    retry_ms = fields.get("retry", [b""])[-1]
    retry_s = float(retry_ms) / 1000 if retry_ms.isdigit() else None
    return ServerSentEvent(kind, b"\n".join(fields.get("data", [])), identifier, retry_s)
