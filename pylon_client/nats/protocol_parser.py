"""A parser of the NATS protocol that survives malformed messages.

A server forwards messages of other clients unchecked: subjects that are not UTF-8 or that contain
other white space than NATS separates with, and malformed header blocks. The library's parser
treats such a message as a broken connection, or stops reading.
"""

import logging
from typing import Any, Final

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from pylon_client.log_limit import LogLimit, error_origin

logger = logging.getLogger(__name__)

_LINE_END: Final = b"\r\n"
_WITH_BODY: Final = frozenset({b"MSG", b"HMSG"})


class MessageParser(Parser):
    """Parses messages itself, and leaves every other line to the library's parser.

    Args:
        client: the library's client, which receives the messages.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)  # pyright: ignore[reportUnknownMemberType] -- the library's client is of anything
        self._client = client
        self._log_limit = LogLimit()

    def reset(self) -> None:
        """Discard incomplete input: a new connection starts."""
        super().reset()
        self._buffer = bytearray()

    async def parse(self, data: bytes = b"") -> None:
        """Process received bytes, which may end anywhere.

        Raises:
            ProtocolError: the peer does not speak the NATS protocol.
        """
        self._buffer += data
        while (line_bytes := self._buffer.find(_LINE_END)) >= 0:
            line = bytes(self._buffer[:line_bytes])
            begin = line_bytes + len(_LINE_END)
            verb, _, rest = line.partition(b" ")
            if verb not in _WITH_BODY:
                del self._buffer[:begin]
                await super().parse(line + _LINE_END)  # pyright: ignore[reportUnknownMemberType] -- the library returns nothing
                continue
            subject, number, reply, header_bytes, content_bytes = _parse_arguments(verb, rest)
            end = begin + content_bytes
            if len(self._buffer) < end + len(_LINE_END):
                return
            content = bytes(self._buffer[begin:end])
            del self._buffer[: end + len(_LINE_END)]
            headers, body = content[:header_bytes], content[header_bytes:]
            try:
                await self._client._process_msg(number, subject, reply, body, headers)  # noqa: SLF001 -- called by the library's parser
            except Exception as error:  # noqa: BLE001 -- one bad message must not stop the next
                if self._log_limit.is_due(error_origin(error)):
                    logger.warning("Skipped an unreadable NATS message: %s", type(error).__name__)


def _parse_arguments(verb: bytes, rest: bytes) -> tuple[bytes, int, bytes, int, int]:
    """Parse the arguments of MSG or HMSG.

    Returns:
        Subject, subscription number, reply subject, header size and total size in bytes.

    Raises:
        ProtocolError: the arguments are malformed.
    """
    sizes = 2 if verb == b"HMSG" else 1
    arguments = rest.split(b" ")
    try:
        content_bytes = int(arguments[-1])
        header_bytes = int(arguments[-2]) if sizes > 1 else 0
        subject, number, *reply = arguments[:-sizes]
        return subject, int(number), b"".join(reply), header_bytes, content_bytes
    except (ValueError, IndexError):
        raise ProtocolError from None
