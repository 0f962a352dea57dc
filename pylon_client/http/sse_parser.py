"""Server-sent events from the bytes of an answer, whichever pieces they come in."""

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Final

from pylon_client.errors import PylonResponseException

EVENT_MAX_BYTES: Final = 64 * 1024 * 1024
"""More than any value is; a server that sends more in one event is none of ours."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event.

    Attributes:
        kind: the event's name.
        data: its lines of data, joined.
        id: its id; None where it has none.
        retry_s: after how many seconds to come back once the stream has ended; None where it does
            not say.
    """

    kind: str
    data: bytes
    id: str | None = None
    retry_s: float | None = None


async def parse_sse(chunks: AsyncIterable[bytes]) -> AsyncGenerator[ServerSentEvent]:
    """The events in the bytes of an answer; comments are left out.

    Lines end with a line feed, with or without a carriage return, and with nothing else: what
    other libraries take for the end of a line may stand within JSON.

    Raises:
        PylonResponseException: an event is longer than any can be.
    """
    rest = b""
    fields: dict[str, list[bytes]] = {}
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > EVENT_MAX_BYTES:
            raise PylonResponseException("An event of Pylon's is too long to be one")
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
