"""Published events, and how to ask for those that did not come by themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pylon_client.contract import headers as wire_headers
from pylon_client.contract import wire
from pylon_client.contract.event_replay import PUBLISHED_BLOCK, PUBLISHED_NEURONS, ReplayParams
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import (
    BlockEventSubject,
    NeuronsEventSubject,
    OpenSubject,
    ReplaySubject,
    parse_subject,
)
from pylon_client.contract.types import BLOCK_NUMBER_MAX, BlockHash, BlockNumber
from pylon_client.nats.nats_connection import NatsConnection

REPLAY_TIMEOUT_S: Final = 10.0
NO_LOST_BLOCKS: Final = range(0)

_NUMBER = re.compile(r"[0-9]{1,10}")
_HASH = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One published value, as it came.

    Attributes:
        subject: what it is a value of.
        block: the block that it was read at.
        body: the JSON that was published.
        lost: the block numbers right before this one whose values should have come and cannot be
            had any more; empty as a rule. Numbers that were never published may be among them.
        stored_parts: where the stream keeps the body, which was too large for one message, so that
            `body` is empty; readers of a feed never see such an event.
        genesis: hash of the first block of the chain that it is of; empty from workers of versions
            that do not say.
    """

    subject: str
    block: Block
    body: bytes
    lost: range = NO_LOST_BLOCKS
    stored_parts: tuple[int, ...] = ()
    genesis: str = ""


class EventLogReader(Protocol):
    """The last values of each subject, as the event stream keeps them."""

    async def __call__(self, subject: str, /, after: BlockNumber | None = None) -> FeedEvent | None:
        """The first value after a block, or the newest; None where there is none yet.

        Raises:
            FailureError: that cannot be told now.
        """
        ...


def event_log_via_worker(
    connection: NatsConnection, subject_type: type[OpenSubject] | type[ReplaySubject] = OpenSubject
) -> EventLogReader:
    """Return the kept values as workers answer them.

    Args:
        connection: on which they are asked for.
        subject_type: `OpenSubject` for callers with open access, `ReplaySubject` for readers.
    """

    async def kept(subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        match parse_subject(subject):
            case BlockEventSubject():
                asked = subject_type(None, PUBLISHED_BLOCK.name)
            case NeuronsEventSubject(netuid):
                asked = subject_type(netuid, PUBLISHED_NEURONS.name)
            case _:
                raise FailureError(ErrorCode.INVALID, f"{subject!r} has no events.")
        try:
            reply = await connection.request(
                str(asked), wire.encode(ReplayParams(after=after)), timeout_s=REPLAY_TIMEOUT_S
            )
        except FailureError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise
        event = parse_event(subject, reply.headers, reply.body)
        if event is None:
            raise FailureError(ErrorCode.INTERNAL, f"A worker's answer for {subject} is no event.")
        return event

    return kept


def parse_event(subject: str, headers: Mapping[str, str], body: bytes) -> FeedEvent | None:
    """The event that a message holds; None when it is no event of this contract.

    It is read strictly: a number that no block has, once given, would stand before all that come.
    """
    try:
        if not isinstance(parse_subject(subject), BlockEventSubject | NeuronsEventSubject):
            return None
        number = BlockNumber(_parse_number(headers[wire_headers.BLOCK_NUMBER]))
        block_hash = BlockHash(headers[wire_headers.BLOCK_HASH])
        lost_blocks = _parse_number(headers.get(wire_headers.LOST_BLOCKS, "0"))
        genesis = headers.get(wire_headers.GENESIS, "")
        kept_parts = tuple(map(_parse_number, headers.get(wire_headers.KEPT_PARTS, "").split()))
    except (LookupError, ValueError):
        return None
    if lost_blocks > number or not all(map(_HASH.fullmatch, (block_hash, genesis or block_hash))):
        return None
    return FeedEvent(
        subject,
        Block(number=number, hash=block_hash),
        body,
        range(number - lost_blocks, number),
        kept_parts,
        genesis,
    )


def _parse_number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > BLOCK_NUMBER_MAX:
        raise ValueError(text)
    return int(text)
