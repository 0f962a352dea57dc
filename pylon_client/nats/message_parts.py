"""Values larger than one NATS message: split by the sender, joined by the receiver.

A reply may arrive as several messages to the same inbox, each with the header `Pylon-Part: k/n`.
The last one carries all other headers. Only requests with `Pylon-Accept-Parts` get such replies.
"""

from collections.abc import Callable
from typing import Final

from nats.aio.msg import Msg

from pylon_client.contract import headers as wire_headers

_STREAM: Final = "Nats-Stream"


def split_body(body: bytes, max_part_bytes: int) -> list[bytes]:
    """Return the parts of a body, at least one, each of at most `max_part_bytes` bytes."""
    starts = range(0, max(len(body), 1), max_part_bytes)
    return [body[start : start + max_part_bytes] for start in starts]


class PartJoiner:
    """Joins the parts of replies to pending requests.

    The parts of a reply arrive in order: one worker sends them over one connection. If a part is
    lost, the reply stays incomplete and its request times out.

    Args:
        is_pending: returns whether a request waits for a reply to an inbox.
    """

    def __init__(self, is_pending: Callable[[str], bool]) -> None:
        self._is_pending = is_pending
        self._incomplete: Final[dict[str, list[bytes]]] = {}

    @property
    def incomplete(self) -> int:
        """Return the number of incomplete replies."""
        return len(self._incomplete)

    def join(self, message: Msg) -> Msg | None:
        """Add a message; return the whole reply, or None if parts are missing."""
        headers = message.headers or {}
        part = headers.get(wire_headers.PART)
        if part is None or _STREAM in headers:
            # A message from JetStream keeps the headers of its publisher, which is not trusted.
            return message
        inbox = message.subject
        number, count = _parse_part(part)
        if number == 1:
            self._discard_abandoned()
            self._incomplete[inbox] = []
        parts = self._incomplete.get(inbox)
        if parts is None or len(parts) != number - 1 or not self._is_pending(inbox):
            self._incomplete.pop(inbox, None)
            return None
        parts.append(message.data)
        if number < count:
            return None
        del self._incomplete[inbox]
        message.data = b"".join(parts)
        return message

    def _discard_abandoned(self) -> None:
        for inbox in [inbox for inbox in self._incomplete if not self._is_pending(inbox)]:
            del self._incomplete[inbox]


def part_header(number: int, count: int) -> dict[str, str]:
    """Return the header of part `number` of `count`; numbers start at 1."""
    return {wire_headers.PART: f"{number}/{count}"}


def _parse_part(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    try:
        return int(number), int(count)
    except ValueError:
        return 0, 0
