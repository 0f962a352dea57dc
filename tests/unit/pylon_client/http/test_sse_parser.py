"""Parsing of server-sent events."""

from collections.abc import AsyncIterator

import pytest

from pylon_client.http.sse_parser import ServerSentEvent, parse_sse

SENT = (
    b": a comment\n\n"
    b'event: block\nid: 7\ndata: {"a":\xe2\x80\xa8"\x85"}\n\n'
    b"retry: 500\n\n"
    b"data: one\r\ndata:two\r\n\r\n"
    b"event: closing\nretry: 500\ndata: {}\n\n"
    b"retry: soon\ndata: two\n\n"
    b"event: unfinished\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_events_are_parsed_from_chunks_of_any_size(size: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(SENT), size):
            yield SENT[start : start + size]

    assert [event async for event in parse_sse(chunks())] == [
        ServerSentEvent("block", b'{"a":\xe2\x80\xa8"\x85"}', "7"),
        ServerSentEvent("message", b"one\ntwo"),
        ServerSentEvent("closing", b"{}", retry_s=0.5),
        ServerSentEvent("message", b"two"),
    ]
