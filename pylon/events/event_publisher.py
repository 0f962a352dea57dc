"""The event stream in JetStream: stored before it counts as published, once, and in order."""

from collections.abc import Callable
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import api
from nats.js.client import JetStreamContext

from pylon.events.event_log import EventLog, StoredEvent
from pylon.events.event_types import Event
from pylon.jetstream.error_codes import ack_sequence, is_conflict, readable_replies
from pylon.jetstream.write_health import NotAcknowledgedError, WriteHealth
from pylon.jetstream.write_retry import retry_while_in_flight
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import (
    CONTRACT_VERSION,
    NeuronsEventSubject,
    NeuronsPartSubject,
    parse_subject,
)
from pylon_client.contract.topology import EVENTS
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.message_parts import split_body
from pylon_client.nats.nats_connection import NatsConnection

ACK_TIMEOUT_S: Final = 5.0


class EventPublisher:
    """Publishes events, and tells which block the newest one of a subject is of.

    Each event names the one before it as the stream has it. So of two workers that publish at the
    same time, for as long as one has not noticed that it may no longer, neither can put an event
    behind or beside one of the other's.

    A body that is too large for one message is stored in parts, each under a subject of its own
    beside the event's; the event then has no body, and tells where in the stream the parts are.

    Args:
        connection: as the user `worker`.
        genesis: returns the genesis of the chain that the events are of, if it is known.
    """

    def __init__(
        self,
        connection: NatsConnection,
        genesis: Callable[[], str | None] = lambda: None,
        health: WriteHealth | None = None,
    ) -> None:
        self._connection = connection
        self._genesis = genesis
        self._write_health = health or WriteHealth()
        self._stream = JetStreamContext(connection.nats, timeout=ACK_TIMEOUT_S)
        self._event_log = EventLog(connection)
        self._last_sequence_by_subject: dict[str, int] = {}

    async def publish(self, event: Event) -> None:
        """Return when the stream has stored the event, had it already, or has a newer one.

        An undecided outcome is retried: the message in flight is either this event, as an earlier
        try or another worker published it, or another event of the subject.

        Raises:
            FailureError: NATS_UNAVAILABLE, when no acknowledgement came; the event may be stored
                or not, and publishing it again is safe within the stream's duplicate window.
        """
        try:
            await retry_while_in_flight(lambda: self._store(event), "The event stream")
        except (nats.errors.Error, OSError) as error:
            why = type(error).__name__
            if isinstance(error, NotAcknowledgedError):
                why = str(error)
            elif isinstance(error, nats.js.errors.APIError) and error.err_code:
                why = f"{error.description} (error {error.err_code})"
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"The event stream did not take the event: {why}."
            ) from None

    async def _store(self, event: Event) -> None:
        """Store an event behind the newest one of its subject, unless that is as new."""
        if event.subject not in self._last_sequence_by_subject and await self._is_stored_or_newer(
            event
        ):
            return
        body, kept_parts = event.body, ""
        if len(body) > self._connection.max_payload_bytes:
            kept_parts, body = await self._store_parts(event), b""
        expected = self._last_sequence_by_subject[event.subject]
        genesis = self._genesis()
        try:
            sequence = await self._publish_acked(
                event.subject,
                body,
                {
                    headers.MESSAGE_ID: event.message_id,
                    headers.BLOCK_NUMBER: str(event.block.number),
                    headers.BLOCK_HASH: event.block.hash,
                    headers.CONTRACT: CONTRACT_VERSION,
                    api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(expected),
                    **({headers.KEPT_PARTS: kept_parts} if kept_parts else {}),
                    **({headers.GENESIS: genesis} if genesis else {}),
                },
            )
        except nats.js.errors.APIError as error:
            if is_conflict(error) and await self._is_stored_or_newer(event):
                return
            raise  # published again, it goes behind what is newest now
        raise_if_cancelled()
        self._last_sequence_by_subject[event.subject] = sequence

    async def _publish_acked(
        self, subject: str, body: bytes, message_headers: dict[str, str]
    ) -> int:
        """Publish a message; return its sequence once the stream has acknowledged it."""
        with self._write_health.track_write(EVENTS.name, self._connection), readable_replies():
            ack = await self._stream.publish(
                subject, body, stream=EVENTS.name, headers=message_headers
            )
            return ack_sequence(ack, EVENTS.name)

    async def _is_stored_or_newer(self, event: Event) -> bool:
        """Return whether the stream has this event or a newer one of its subject.

        Then no sequence is remembered for the subject: the events after this one are compared with
        the newest one as well, since a stream that was made again may lack them.
        """
        newest = await self._newest(event.subject)
        if newest is None or newest.block_number < event.block.number:
            return False
        del self._last_sequence_by_subject[event.subject]
        return True

    async def _store_parts(self, event: Event) -> str:
        """Store the body of an event in parts, before the event itself says where they are."""
        subject = parse_subject(event.subject)
        if not isinstance(subject, NeuronsEventSubject):
            raise TypeError(f"events of {event.subject} fit one message")
        sequences: list[str] = []
        parts = split_body(event.body, self._connection.max_payload_bytes)
        for number, part in enumerate(parts, 1):
            sequence = await self._publish_acked(
                str(NeuronsPartSubject(subject.netuid, number)),
                part,
                {headers.MESSAGE_ID: f"{event.message_id}-{number}/{len(parts)}"},
            )
            raise_if_cancelled()
            sequences.append(str(sequence))
        return " ".join(sequences)

    async def last_block(self, subject: str) -> Block | None:
        """The block of the newest event of a subject; None when there is none.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        newest = await self._newest(subject)
        return None if newest is None or newest.event is None else newest.event.block

    async def _newest(self, subject: str) -> StoredEvent | None:
        newest = await self._event_log.newest(subject)
        self._last_sequence_by_subject[subject] = 0 if newest is None else newest.sequence
        return newest
