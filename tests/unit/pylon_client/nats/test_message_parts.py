"""Replies in parts, as they may come."""

from typing import Any, cast

import pytest
from nats.aio.msg import Msg

from pylon_client.contract import headers
from pylon_client.nats.message_parts import PartJoiner, part_header, split_body


def message(inbox: str, data: bytes, part: str | None = None) -> Msg:
    told = None if part is None else {headers.PART: part}
    return Msg(_client=cast("Any", None), subject=inbox, data=data, headers=told)


def joined(whole: Msg | None) -> bytes | None:
    return None if whole is None else whole.data


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 101])
def test_split_bodies_are_joined(size: int) -> None:
    body = bytes(range(size))
    parts = split_body(body, 10)
    assert len(parts) == max(1, -(-size // 10))
    assert all(len(part) <= 10 for part in parts)
    joiner = PartJoiner(lambda _: True)
    came = [
        joiner.join(message("i", part, part_header(number, len(parts))[headers.PART]))
        for number, part in enumerate(parts, 1)
    ]
    assert came[:-1] == [None] * (len(parts) - 1)
    assert joined(came[-1]) == body
    assert joiner.incomplete == 0


def test_a_whole_reply_is_passed_unchanged() -> None:
    whole = message("i", b"all")
    assert PartJoiner(lambda _: True).join(whole) is whole


def test_a_message_of_a_stream_is_never_a_part() -> None:
    kept = message("i", b"all", "1/2")
    assert kept.headers is not None
    kept.headers["Nats-Stream"] = "PYLON_EVENTS"
    assert PartJoiner(lambda _: True).join(kept) is kept


def test_parts_of_several_replies_may_be_interleaved() -> None:
    joiner = PartJoiner(lambda _: True)
    assert joiner.join(message("a", b"1", "1/2")) is None
    assert joiner.join(message("b", b"x", "1/2")) is None
    assert joined(joiner.join(message("a", b"2", "2/2"))) == b"12"
    assert joined(joiner.join(message("b", b"y", "2/2"))) == b"xy"


@pytest.mark.parametrize("places", [["2/3", "3/3"], ["1/3", "3/3"], ["1/2", "0/2"], ["x", "1"]])
def test_a_reply_with_a_missing_part_is_never_complete(places: list[str]) -> None:
    joiner = PartJoiner(lambda _: True)
    assert [joiner.join(message("a", b"?", place)) for place in places] == [None] * len(places)
    assert joiner.incomplete == 0


def test_parts_without_a_pending_request_are_discarded() -> None:
    awaited = {"a"}
    joiner = PartJoiner(awaited.__contains__)
    joiner.join(message("a", b"1", "1/2"))
    assert joiner.incomplete == 1
    awaited.clear()
    joiner.join(message("b", b"1", "1/2"))
    assert joiner.incomplete == 0
    assert joiner.join(message("a", b"2", "2/2")) is None
