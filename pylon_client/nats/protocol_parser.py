"""Reading NATS's protocol so that no message, whatever its bytes, ends the connection it comes by.

A server hands on what others publish without a look at it: subjects that are no text, or hold
white space that is none to NATS, and blocks of headers that are none. The library's parser takes
such a message for a broken connection, or stops reading for good.
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
    """Cuts the messages out by the rules of NATS, and leaves every other line to the library.

    Args:
        client: of the library, which is given what comes.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)  # pyright: ignore[reportUnknownMemberType] -- the library's client is of anything
        self._client = client
        self._log_limit = LogLimit()

    def reset(self) -> None:
        """Forget what was begun: another connection begins."""
        super().reset()
        self._buffer = bytearray()

    async def parse(self, data: bytes = b"") -> None:
        """Take what was received, which may end anywhere.

        Raises:
            ProtocolError: this is no NATS server.
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
                await self._client._process_msg(number, subject, reply, body, headers)  # noqa: SLF001 -- what the library's parser calls
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next message is another
                if self._log_limit.is_due(error_origin(error)):
                    logger.warning("NATS: a message could not be read: %s", type(error).__name__)


def _parse_arguments(verb: bytes, rest: bytes) -> tuple[bytes, int, bytes, int, int]:
    """Subject, number of the subscription, reply subject, and the sizes of headers and of all.

    Raises:
        ProtocolError: there are others.
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
