"""Publishes events to JetStream: stored before they count as published, once, and in order."""

from collections.abc import Callable

from pylon.events.event_log import EventLog, StoredEvent
from pylon.events.event_streams import EventStreams
from pylon.events.event_types import message_id
from pylon.jetstream.stream_client import (
    STREAM_ERRORS,
    SequenceConflictError,
    describe_stream_error,
)
from pylon.jetstream.write_health import WriteHealth
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import (
    CONTRACT_VERSION,
    ChangesEventSubject,
    EventPartSubject,
    NeuronsEventSubject,
    parse_subject,
)
from pylon_client.contract.types import BlockNumber
from pylon_client.events.observed_head import ObservedHead
from pylon_client.events.stored_events import FeedEvent
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.message_parts import split_body
from pylon_client.nats.nats_connection import NatsConnection


class EventPublisher:
    """Publishes events, and finds the block of a subject's newest event.

    Each event names the sequence of the one before it. Two workers may publish at the same time
    until one notices that it lost the lease; neither can then put an event behind or beside one of
    the other's.

    A body that exceeds the maximum payload is stored in parts, each under a subject beside the
    event's. The event then has an empty body and the sequences of the parts.

    Args:
        connection: as the user `worker`.
        genesis: returns the genesis hash of the chain, or None if it is not known.
        head: returns the head of the chain, which is sent with the event of a block.
        health: records which writes are stored.
    """

    def __init__(
        self,
        connection: NatsConnection,
        genesis: Callable[[], str | None] = lambda: None,
        health: WriteHealth | None = None,
        head: Callable[[], ObservedHead | None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._genesis = genesis
        self._head = head
        self._streams = EventStreams(connection, health)
        self._event_log = EventLog(connection)
        self._last_sequence_by_subject: dict[str, int] = {}

    async def publish(self, event: FeedEvent) -> None:
        """Return when the stream has stored the event, had stored it before, or has a newer one.

        Raises:
            FailureError: NATS_UNAVAILABLE, when no acknowledgement came. The event may be stored;
                publishing it again is safe within the stream's duplicate window.
        """
        if event.subject not in self._last_sequence_by_subject and await self._is_stored_or_newer(
            event
        ):
            return
        try:
            body, stored_parts = event.body, ""
            if len(body) > self._connection.max_payload_bytes:
                stored_parts, body = await self._store_parts(event), b""
            sequence = await self._streams.of(event.subject).publish(
                event.subject,
                body,
                {
                    headers.MESSAGE_ID: message_id(event),
                    headers.BLOCK_NUMBER: str(event.block.number),
                    headers.BLOCK_HASH: event.block.hash,
                    headers.CONTRACT: CONTRACT_VERSION,
                    **({headers.STORED_PARTS: stored_parts} if stored_parts else {}),
                    **self._chain_headers(event),
                },
                expected_sequence=self._last_sequence_by_subject[event.subject],
            )
        except STREAM_ERRORS as error:
            if isinstance(error, SequenceConflictError) and await self._is_stored_or_newer(event):
                return
            # The next attempt stores it after the newest event of then.
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE,
                f"The event stream did not take the event: {describe_stream_error(error)}.",
            ) from None
        raise_if_cancelled()
        self._last_sequence_by_subject[event.subject] = sequence

    def _chain_headers(self, event: FeedEvent) -> dict[str, str]:
        """Return the headers that tell subscribers which chain the event is of, and its head."""
        found: dict[str, str] = {}
        if genesis := self._genesis():
            found[headers.GENESIS] = genesis
        if event.parent_hash:
            found[headers.PARENT_HASH] = event.parent_hash
            if (head := self._head()) is not None:
                found[headers.HEAD] = head.encode()
        if event.publishers:
            found[headers.PUBLISHERS] = " ".join(event.publishers)
        return found

    async def _is_stored_or_newer(self, event: FeedEvent) -> bool:
        """Return whether the stream has this event or a newer one of its subject.

        If so, the subject's sequence is forgotten: later events are compared with the newest one as
        well, since a stream that was created again may lack them.
        """
        newest = await self._newest(event.subject)
        if newest is None or newest.block_number < event.block.number:
            return False
        del self._last_sequence_by_subject[event.subject]
        return True

    async def _store_parts(self, event: FeedEvent) -> str:
        """Store the body of an event in parts; return their sequences, separated by spaces."""
        subject = parse_subject(event.subject)
        if not isinstance(subject, NeuronsEventSubject | ChangesEventSubject):
            raise TypeError(f"events of {event.subject} fit one message")
        sequences: list[str] = []
        parts = split_body(event.body, self._connection.max_payload_bytes)
        for number, part in enumerate(parts, 1):
            sequence = await self._streams.of(event.subject).publish(
                str(EventPartSubject(subject, number)),
                part,
                {headers.MESSAGE_ID: f"{message_id(event)}-{number}/{len(parts)}"},
            )
            raise_if_cancelled()
            sequences.append(str(sequence))
        return " ".join(sequences)

    async def last_block(self, subject: str) -> Block | None:
        """Return the block of a subject's newest event; None if it has no events.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        newest = await self._newest(subject)
        return None if newest is None or newest.event is None else newest.event.block

    async def stored_event(
        self, subject: str, after: BlockNumber | None = None
    ) -> FeedEvent | None:
        """Return the first stored event after a block, or the newest event; None without one.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        return await self._event_log(subject, after)

    async def _newest(self, subject: str) -> StoredEvent | None:
        newest = await self._event_log.newest(subject)
        self._last_sequence_by_subject[subject] = 0 if newest is None else newest.sequence
        return newest
