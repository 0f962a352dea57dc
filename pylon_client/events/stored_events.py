"""Published events, and reads of stored ones from the event log."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.event_replay import (
    PUBLISHED_BLOCK,
    PUBLISHED_CHANGES,
    PUBLISHED_NEURONS,
    ReplayParams,
)
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import (
    BlockEventSubject,
    ChangesEventSubject,
    NeuronsEventSubject,
    OpenSubject,
    ReplaySubject,
    parse_subject,
    validate_publisher_id,
)
from pylon_client.contract.types import MAX_BLOCK_NUMBER, BlockHash, BlockNumber, PublisherId
from pylon_client.events.observed_head import ObservedHead
from pylon_client.nats.nats_connection import NatsConnection

REPLAY_TIMEOUT_S: Final = 10.0
NO_LOST_BLOCKS: Final = range(0)

_NUMBER = re.compile(r"[0-9]{1,10}")
_HASH = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """A published event.

    Attributes:
        subject: the subject of the event.
        block: the block at which its value was read.
        body: the published JSON.
        lost: the block numbers right before this one whose events are no longer available; usually
            empty. It may contain numbers that were never published.
        stored_parts: sequences in the event stream that hold the body, if it is too large for one
            message; `body` is empty then. Readers of a feed never get such an event.
        genesis: hash of the chain's first block; empty from workers of older versions.
        parent_hash: hash of a block's parent; empty for other events, for stored events that a
            worker returned, and from workers of older versions.
        head: the chain's head when the event of a block was sent; None like `parent_hash`.
        publishers: of a block event: the workers that publish the subnets of this block; empty from
            workers of older versions.
    """

    subject: str
    block: Block
    body: bytes
    lost: range = NO_LOST_BLOCKS
    stored_parts: tuple[int, ...] = ()
    genesis: str = ""
    parent_hash: str = ""
    head: ObservedHead | None = None
    publishers: tuple[PublisherId, ...] = ()


class EventLogReader(Protocol):
    """Reads the stored events of each subject."""

    async def __call__(self, subject: str, /, after: BlockNumber | None = None) -> FeedEvent | None:
        """Return the first event after a block, or the newest event; None without such an event.

        Raises:
            FailureError: the event log cannot be read.
        """
        ...


def event_log_via_worker(
    connection: NatsConnection, subject_type: type[OpenSubject] | type[ReplaySubject] = OpenSubject
) -> EventLogReader:
    """Return a reader of the event log that sends its requests to workers.

    Args:
        connection: sends the requests.
        subject_type: `OpenSubject` for callers with open access, `ReplaySubject` for readers.
    """

    async def read_event(subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        match parse_subject(subject):
            case BlockEventSubject():
                request_subject = subject_type(None, PUBLISHED_BLOCK.name)
            case NeuronsEventSubject(netuid):
                request_subject = subject_type(netuid, PUBLISHED_NEURONS.name)
            case ChangesEventSubject(netuid):
                request_subject = subject_type(netuid, PUBLISHED_CHANGES.name)
            case _:
                raise FailureError(ErrorCode.INVALID, f"{subject!r} has no events.")
        try:
            reply = await connection.request(
                str(request_subject),
                json_codec.encode(ReplayParams(after=after)),
                timeout_s=REPLAY_TIMEOUT_S,
            )
        except FailureError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise
        event = parse_event(subject, reply.headers, reply.body)
        if event is None:
            raise FailureError(
                ErrorCode.INTERNAL, f"A worker's reply for {subject} is not an event."
            )
        return event

    return read_event


def parse_event(subject: str, headers: Mapping[str, str], body: bytes) -> FeedEvent | None:
    """Parse the event in a message; return None if it is not an event of this contract.

    Parsing is strict: after an event with an invalid high block number, all following events would
    be dropped as old.
    """
    try:
        if not isinstance(
            parse_subject(subject), BlockEventSubject | NeuronsEventSubject | ChangesEventSubject
        ):
            return None
        number = BlockNumber(_parse_number(headers[wire_headers.BLOCK_NUMBER]))
        block_hash = BlockHash(headers[wire_headers.BLOCK_HASH])
        lost_blocks = _parse_number(headers.get(wire_headers.LOST_BLOCKS, "0"))
        genesis = headers.get(wire_headers.GENESIS, "")
        parent_hash = headers.get(wire_headers.PARENT_HASH, "")
        head = headers.get(wire_headers.HEAD)
        observed_head = None if head is None else ObservedHead.decode(head)
        publishers = tuple(
            map(validate_publisher_id, headers.get(wire_headers.PUBLISHERS, "").split())
        )
        kept_parts = tuple(map(_parse_number, headers.get(wire_headers.STORED_PARTS, "").split()))
    except (LookupError, ValueError):
        return None
    hashes = (block_hash, genesis or block_hash, parent_hash or block_hash)
    if lost_blocks > number or not all(map(_HASH.fullmatch, hashes)):
        return None
    return FeedEvent(
        subject,
        Block(number=number, hash=block_hash),
        body,
        range(number - lost_blocks, number),
        kept_parts,
        genesis,
        parent_hash,
        observed_head,
        publishers,
    )


def _parse_number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MAX_BLOCK_NUMBER:
        raise ValueError(text)
    return int(text)
