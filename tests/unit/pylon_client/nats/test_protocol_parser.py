"""NATS's protocol, cut anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError

from pylon_client.nats.protocol_parser import MessageParser

Message = tuple[int, bytes, bytes, bytes, bytes]

HEADERS = b"NATS/1.0\r\nName: t\xc3\xa9\r\n\r\n"
WHOLE = (
    b"MSG a.b 1 4\r\nbody\r\nPING\r\n"
    b"HMSG a.\xff 12 _INBOX.r %d %d\r\n%bok\r\n"
    b"MSG a\x0bc 3 0\r\n\r\nMSG d 4 2\r\n\r\n\r\nPONG\r\n"
) % (len(HEADERS), len(HEADERS) + 2, HEADERS)
MESSAGES: list[Message] = [
    (1, b"a.b", b"", b"body", b""),
    (12, b"a.\xff", b"_INBOX.r", b"ok", HEADERS),
    (3, b"a\x0bc", b"", b"", b""),
    (4, b"d", b"", b"\r\n", b""),
]


class Taker:
    """Takes what the library's client takes of its parser."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lines: list[str] = []

    async def _process_msg(self, *message: *Message) -> None:
        self.messages.append(message)
        if message[0] == 12:
            raise ZeroDivisionError

    async def _process_ping(self) -> None:
        self.lines.append("PING")

    async def _process_pong(self) -> None:
        self.lines.append("PONG")


@given(cuts=st.lists(st.integers(0, len(WHOLE))))
async def test_messages_do_not_depend_on_the_chunks(cuts: list[int]) -> None:
    taker = Taker()
    parser = MessageParser(taker)
    places = [0, *sorted(cuts), len(WHOLE)]
    for begin, end in pairwise(places):
        await parser.parse(WHOLE[begin:end])
    assert (taker.messages, taker.lines) == (MESSAGES, ["PING", "PONG"])


@pytest.mark.parametrize(
    "line", [b"MSG a", b"MSG a b 3", b"MSG a 1 x", b"HMSG a 1 3", b"HTTP/1.1 200 OK", b""]
)
async def test_other_protocols_raise(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        await MessageParser(Taker()).parse(line + b"\r\n")
