"""The events that the stream keeps: the newest of a subject, and the one that follows a block."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast

import nats.errors
import nats.js.errors
from nats.js.api import RawStreamMsg
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import (
    NO_MESSAGE,
    UnreadableReplyError,
    message_sequence,
    readable_replies,
)
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import NO_LOST_BLOCKS, FeedEvent, parse_event
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_connection import NatsConnection

GET_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A message of the stream.

    Attributes:
        sequence: its place.
        event: what it tells; None when it is no event of this contract.
        stored_at: when the server stored it, by the server's clock.
    """

    sequence: int
    event: FeedEvent | None
    stored_at: datetime | None = None

    @property
    def block_number(self) -> BlockNumber:
        """Of which block it is; before all blocks when it is no event."""
        return BlockNumber(-1) if self.event is None else self.event.block.number


class EventLog:
    """The events as the stream keeps them; only workers may ask it.

    NATS delivers JetStream's answers to any subject that the asker names, even to JetStream's own
    API: so this right is not given to clients.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._context = JetStreamContext(connection.nats, timeout=GET_TIMEOUT_S)

    async def __call__(self, subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        """The first event after a block, or the newest; None where there is none yet.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        newest = await self._get(subject)
        if newest is not None and newest.event is None:
            return await self._with_body(await self._scan(subject, after))
        if newest is None or (after is not None and newest.block_number <= after):
            return None
        if after is None or newest.block_number == after + 1:
            return await self._with_body(newest.event)
        return await self._with_body(await self._first_after(subject, after, newest))

    async def newest(self, subject: str) -> StoredEvent | None:
        """The newest event of a subject as the stream's leader has it: no replica's is newer.

        Its place is that of the newest message, be that an event or not.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        newest = await self._get(subject, direct=False)
        if newest is not None and newest.event is None:
            return replace(newest, event=await self._scan(subject, None, direct=False))
        return newest

    async def _first_after(
        self, subject: str, after: BlockNumber, newest: StoredEvent
    ) -> FeedEvent | None:
        """Bisect the stream, whose sequence and a subject's block numbers grow together."""
        oldest = await self._get(subject, from_sequence=1)
        if oldest is None:
            return None
        if oldest.event is not None and oldest.block_number > after:
            return replace(oldest.event, lost=range(after + 1, oldest.block_number))
        low, high, found = oldest.sequence, newest.sequence, newest
        while high - low > 1:
            middle = (low + high) // 2
            at = await self._get(subject, from_sequence=middle)
            if at is None:
                return None  # purged meanwhile
            if at.event is None:
                return await self._scan(subject, after)
            if at.block_number <= after:
                low = at.sequence
            else:
                high, found = middle, at
            if found.block_number == after + 1:
                break
        return found.event

    async def _scan(
        self, subject: str, after: BlockNumber | None, *, direct: bool = True
    ) -> FeedEvent | None:
        """The same among messages that are no events, of which no order can be told."""
        sequence, found = 1, None
        is_first = True
        while at := await self._get(subject, from_sequence=sequence, direct=direct):
            sequence = at.sequence + 1
            if at.event is None:
                continue
            if after is None:
                found = at.event
            elif at.block_number > after:
                lost = range(after + 1, at.block_number) if is_first else NO_LOST_BLOCKS
                return replace(at.event, lost=lost)
            is_first = False
        return found

    async def _with_body(self, event: FeedEvent | None) -> FeedEvent | None:
        """An event together with its body, wherever that is kept; None where it is gone."""
        if event is None or not event.stored_parts:
            return event
        parts: list[bytes] = []
        for sequence in event.stored_parts:
            part = await self._get_message(None, sequence)
            if part is None:
                return None
            parts.append(part.data or b"")
        return replace(event, body=b"".join(parts), stored_parts=())

    async def _get(
        self, subject: str, *, from_sequence: int | None = None, direct: bool = True
    ) -> StoredEvent | None:
        found = await self._get_message(
            subject, from_sequence, direct=direct, next_=from_sequence is not None
        )
        if found is None:
            return None
        # Where a value is no ASCII the library has an object of the email package for it.
        given = cast("dict[str, object]", found.headers or {})  # pyright: ignore[reportUnknownMemberType] -- the library says no more than dict
        headers = {name: str(value) for name, value in given.items()}
        event = parse_event(found.subject or subject, headers, found.data or b"")
        stored_at = found.time if isinstance(found.time, datetime) else None
        return StoredEvent(message_sequence(found), event, stored_at)

    async def _get_message(
        self,
        subject: str | None,
        sequence: int | None,
        *,
        direct: bool = True,
        next_: bool = False,
    ) -> RawStreamMsg | None:
        # A direct answer mixes the message's headers with JetStream's own. So a message may look
        # like none, or hide its place; asked otherwise, the stream tells of it apart.
        try:
            with readable_replies():
                found = await self._context.get_msg(
                    EVENTS.name, sequence, subject, direct=direct, next=next_
                )
                message_sequence(found)
        except (nats.errors.Error, OSError) as error:
            if direct and isinstance(error, UnreadableReplyError):
                return await self._get_message(subject, sequence, direct=False, next_=next_)
            if isinstance(error, nats.js.errors.NotFoundError):
                if direct:
                    return await self._get_message(subject, sequence, direct=False, next_=next_)
                if error.err_code == NO_MESSAGE:
                    return None
                raise FailureError(
                    ErrorCode.NATS_UNAVAILABLE, "The event stream does not exist."
                ) from None
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE,
                f"The event stream does not answer: {type(error).__name__}.",
            ) from None
        raise_if_cancelled()
        return found
