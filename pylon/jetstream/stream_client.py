"""Publish to a stream, read single messages of it, and list its subjects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

import nats.errors
import nats.js.errors
from nats.js import api
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import (
    NO_MESSAGE,
    UnreadableReplyError,
    ack_sequence,
    is_conflict,
    message_sequence,
    readable_replies,
)
from pylon.jetstream.request_retry import retry_while_in_flight
from pylon.jetstream.write_health import NotAcknowledgedError, WriteHealth
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_connection import NatsConnection

STREAM_TIMEOUT_S: Final = 5.0
"""Timeout of one request to a stream, in seconds."""
STREAM_ERRORS: Final = (nats.errors.Error, OSError)
"""Errors of a request that JetStream refused, did not answer or did not receive."""


class SequenceConflictError(nats.errors.Error):
    """The last message of the subject has another sequence than the writer expected."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A message of a stream.

    Attributes:
        sequence: its sequence in the stream.
        subject: its subject.
        headers: its headers, without those of JetStream where JetStream separates them.
        body: its payload.
        stored_at: when the server stored it, by the server's clock; None if not reported.
    """

    sequence: int
    subject: str
    headers: dict[str, str]
    body: bytes
    stored_at: datetime | None


class StreamClient:
    """Writes and reads messages of one stream.

    Args:
        connection: as the user `worker`.
        name: name of the stream.
        label: subject of the error texts, such as "The event stream".
        health: records which writes are stored.
    """

    def __init__(
        self,
        connection: NatsConnection,
        name: str,
        label: str,
        health: WriteHealth | None = None,
    ) -> None:
        self._connection = connection
        self._name = name
        self._label = label
        self._health = health or WriteHealth()
        self._context = JetStreamContext(connection.nats, timeout=STREAM_TIMEOUT_S)

    async def publish(
        self,
        subject: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        expected_sequence: int | None = None,
    ) -> int:
        """Publish a message; return its sequence after the stream has acknowledged it.

        A write that depends on a message in flight is retried: that message is this one, from an
        earlier attempt, or another one of the subject.

        Args:
            subject: of the message.
            body: payload, at most the maximum payload of the connection.
            headers: headers of the message.
            expected_sequence: sequence that the last message of the subject must have, 0 for none;
                no compare-and-set when None.

        Raises:
            SequenceConflictError: the last message of the subject has another sequence.
            FailureError: NATS_UNAVAILABLE, when messages in flight do not become stored.
            nats.errors.Error: JetStream refused the message or did not acknowledge it.
            OSError: the connection failed.
        """
        sent = dict(headers)
        if expected_sequence is not None:
            sent[api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value] = str(expected_sequence)

        async def publish() -> int:
            with self._health.track_write(self._name, self._connection), readable_replies():
                ack = await self._context.publish(subject, body, stream=self._name, headers=sent)
                return ack_sequence(ack, self._name)

        try:
            return await retry_while_in_flight(publish, self._label)
        except nats.js.errors.APIError as error:
            if is_conflict(error):
                raise SequenceConflictError(describe_stream_error(error)) from None
            raise

    async def get(
        self,
        subject: str | None,
        sequence: int | None,
        *,
        direct: bool = True,
        next_: bool = False,
    ) -> StreamMessage | None:
        """Return a message, or None if the stream has none that matches.

        A direct answer mixes the headers of the message with those of JetStream, so the message may
        look missing or its sequence may be hidden. Such an answer is requested again from the
        stream's leader, whose answer separates the two.

        Args:
            subject: of the message; None for the message with that sequence.
            sequence: of the message, or the first sequence to consider with `next_`; None for the
                newest message of the subject.
            direct: whether any replica may answer.
            next_: whether to return the first message of the subject from that sequence on.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream is missing or does not answer.
        """
        try:
            with readable_replies():
                found = await self._context.get_msg(
                    self._name, sequence, subject, direct=direct, next=next_
                )
                number = message_sequence(found)
        except STREAM_ERRORS as error:
            if direct and isinstance(error, UnreadableReplyError | nats.js.errors.NotFoundError):
                return await self.get(subject, sequence, direct=False, next_=next_)
            if isinstance(error, nats.js.errors.NotFoundError):
                if error.err_code == NO_MESSAGE:
                    return None
                raise FailureError(
                    ErrorCode.NATS_UNAVAILABLE, f"{self._label} does not exist."
                ) from None
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE,
                f"{self._label} does not answer: {type(error).__name__}.",
            ) from None
        raise_if_cancelled()
        # The library represents a header that is not ASCII by an object of the email package.
        headers = cast("dict[str, object]", found.headers or {})  # pyright: ignore[reportUnknownMemberType] -- the library says no more than dict
        return StreamMessage(
            number,
            found.subject or subject or "",
            {name: str(value) for name, value in headers.items()},
            found.data or b"",
            found.time if isinstance(found.time, datetime) else None,
        )

    async def subjects(self, wildcard: str) -> list[str]:
        """Return the subjects of the stream's messages that match a wildcard.

        A stream that does not exist has none.

        Raises:
            FailureError: NATS_UNAVAILABLE, when JetStream does not answer.
        """
        try:
            with readable_replies():
                info = await self._context.stream_info(self._name, subjects_filter=wildcard)
                return list(info.state.subjects or {})
        except nats.js.errors.NotFoundError:
            return []
        except STREAM_ERRORS as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"JetStream does not answer: {error}"
            ) from None


def describe_stream_error(error: BaseException) -> str:
    """Return the reason of a failed request: JetStream's text and code, or the type's name."""
    if isinstance(error, NotAcknowledgedError | SequenceConflictError):
        return str(error)
    if isinstance(error, nats.js.errors.APIError) and error.err_code:
        return f"{error.description} (error {error.err_code})"
    return type(error).__name__
