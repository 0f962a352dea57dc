"""Parsing of events."""

import pytest

from pylon_client.contract import headers
from pylon_client.contract.types import BlockNumber
from pylon_client.events.observed_head import ObservedHead
from pylon_client.events.stored_events import parse_event

BLOCK = "pylon.v1.event.block"
HASH = f"0x{7:064x}"


@pytest.mark.parametrize("subject", [BLOCK, "pylon.v1.event.neurons.1"])
def test_an_event_contains_its_block(subject: str) -> None:
    sent = {headers.BLOCK_NUMBER: "7", headers.BLOCK_HASH: HASH, headers.LOST_BLOCKS: "2"}
    event = parse_event(subject, sent, b"body")
    assert event is not None
    assert (event.block.number, event.block.hash, event.lost) == (7, HASH, range(5, 7))


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "pylon.v1.event.neurons.x",
            "pylon.v1.event.neurons.65536",
            "pylon.v1.event.neurons.\ufffd",
        ),
        *("pylon.v1.event.neurons.1.part.1", f"pylon.v1.event.job.sn1.{'a' * 26}", "x"),
    ],
)
def test_other_subjects_have_no_events(subject: str) -> None:
    sent = {headers.BLOCK_NUMBER: "7", headers.BLOCK_HASH: HASH}
    assert parse_event(subject, sent, b"body") is None


@pytest.mark.parametrize(
    "odd",
    [
        *({headers.BLOCK_NUMBER: number} for number in ("", "-1", "1_0", "٣", " 7", "4294967296")),
        *({headers.BLOCK_HASH: text} for text in ("", "0x07", HASH.upper(), f"{HASH}0")),
        *({headers.LOST_BLOCKS: text} for text in ("8", "-1", "x")),
        {headers.STORED_PARTS: "1 x"},
        {headers.PARENT_HASH: "0x06"},
        {headers.HEAD: "9"},
    ],
)
def test_invalid_headers_are_rejected(odd: dict[str, str]) -> None:
    sent = {headers.BLOCK_NUMBER: "7", headers.BLOCK_HASH: HASH} | odd
    assert parse_event(BLOCK, sent, b"body") is None


def test_the_event_of_a_block_may_contain_its_parent_and_the_head() -> None:
    sent = {headers.BLOCK_NUMBER: "7", headers.BLOCK_HASH: HASH}
    plain = parse_event(BLOCK, sent, b"body")
    assert plain is not None
    assert (plain.parent_hash, plain.head) == ("", None)
    parent = f"0x{6:064x}"
    event = parse_event(
        BLOCK, sent | {headers.PARENT_HASH: parent, headers.HEAD: "9 1500"}, b"body"
    )
    assert event is not None
    assert event.parent_hash == parent
    assert event.head == ObservedHead(BlockNumber(9), 1.5)
