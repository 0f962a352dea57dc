"""Values that are larger than one NATS message may be: cut by who sends, joined by who receives.

A reply comes as several messages to the same inbox, each with the header `Pylon-Part: k/n`; the
last one carries all other headers. Only who says `Pylon-Accept-Parts` is answered like that.
"""

from collections.abc import Callable
from typing import Final

from nats.aio.msg import Msg

from pylon_client.contract import headers as wire_headers

_STREAM: Final = "Nats-Stream"


def split_body(body: bytes, part_max_bytes: int) -> list[bytes]:
    """A value as parts of at most so many bytes each; at least one."""
    starts = range(0, max(len(body), 1), part_max_bytes)
    return [body[start : start + part_max_bytes] for start in starts]


class PartJoiner:
    """Joins the parts of replies, as long as somebody waits for them.

    The parts of one reply come in order, since one worker sends them over one connection. A reply
    of which one was lost is never complete, and who waits for it gives up at the deadline.

    Args:
        is_pending: whether somebody waits for a reply to an inbox.
    """

    def __init__(self, is_pending: Callable[[str], bool]) -> None:
        self._is_pending = is_pending
        self._incomplete: Final[dict[str, list[bytes]]] = {}

    @property
    def incomplete(self) -> int:
        """How many replies have come in part."""
        return len(self._incomplete)

    def join(self, message: Msg) -> Msg | None:
        """The whole reply with its last part; None before that."""
        headers = message.headers or {}
        part = headers.get(wire_headers.PART)
        if part is None or _STREAM in headers:
            return message  # what JetStream keeps comes with headers of whoever has published it
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
    """What tells the `number`-th of `count` parts, counted from 1, from a whole reply."""
    return {wire_headers.PART: f"{number}/{count}"}


def _parse_part(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    try:
        return int(number), int(count)
    except ValueError:
        return 0, 0
