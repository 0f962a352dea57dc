"""Events that the stream stores: the newest one of a subject, and the first one after a block."""

from dataclasses import dataclass, replace
from datetime import datetime

from pylon.events.event_streams import EventStreams
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import NO_LOST_BLOCKS, FeedEvent, parse_event
from pylon_client.nats.nats_connection import NatsConnection


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A message of the stream.

    Attributes:
        sequence: its sequence in the stream.
        event: the event that it holds; None if it is not an event of this contract.
        stored_at: when the server stored it, by the server's clock.
    """

    sequence: int
    event: FeedEvent | None
    stored_at: datetime | None = None

    @property
    def block_number(self) -> BlockNumber:
        """Return the event's block number, or -1 for a message that is not an event."""
        return BlockNumber(-1) if self.event is None else self.event.block.number


class EventLog:
    """Reads the events that the stream stores; only workers may use it.

    NATS delivers JetStream's replies to any subject that the requester names, even to a subject of
    JetStream's own API. Clients therefore have no permission for these requests.

    Args:
        connection: as the user `worker`.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._streams = EventStreams(connection)

    async def __call__(self, subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        """Return the first event after a block, or the newest event; None if there is not one yet.

        Args:
            subject: of the events.
            after: the block number; None for the newest event.

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
        """Return the newest event of a subject as the stream's leader has it.

        No replica has a newer one. Its sequence is that of the subject's newest message, which may
        not be an event.

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
        """Bisect the stream, in which sequences and a subject's block numbers grow together."""
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
        """Read every message of a subject: some are not events, so that their order is unknown."""
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
        """Return an event with its body, read from its parts; None if a part is gone."""
        if event is None or not event.stored_parts:
            return event
        parts: list[bytes] = []
        for sequence in event.stored_parts:
            part = await self._streams.of(event.subject).get(None, sequence)
            if part is None:
                return None
            parts.append(part.body)
        return replace(event, body=b"".join(parts), stored_parts=())

    async def _get(
        self, subject: str, *, from_sequence: int | None = None, direct: bool = True
    ) -> StoredEvent | None:
        found = await self._streams.of(subject).get(
            subject, from_sequence, direct=direct, next_=from_sequence is not None
        )
        if found is None:
            return None
        event = parse_event(found.subject, found.headers, found.body)
        return StoredEvent(found.sequence, event, found.stored_at)
