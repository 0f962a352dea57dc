"""The event stream in JetStream: stored before it counts as published, once, and in order."""

from typing import Final

import nats.errors
import nats.js.errors
from nats.js import api
from nats.js.client import JetStreamContext

from pylon.blocks.events import Event
from pylon.messaging.kept import KeptEvent, KeptInStream
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import CONTRACT_VERSION
from pylon_client.contract.topology import EVENTS
from pylon_client.transport.cancellation import heed_cancellation
from pylon_client.transport.connection import Connection

ACK_TIMEOUT_S: Final = 5.0

_WRONG_SEQUENCE: Final = 10071


class JetStreamEvents:
    """Publishes events, and tells which block the newest one of a subject is of.

    Each event names the one before it as the stream has it. So of two workers that publish at the
    same time, for as long as one has not noticed that it may no longer, neither can put an event
    behind or beside one of the other's.
    """

    def __init__(self, connection: Connection) -> None:
        self._stream = JetStreamContext(connection.nats, timeout=ACK_TIMEOUT_S)
        self._kept = KeptInStream(connection)
        self._newest_sequence: dict[str, int] = {}

    async def publish(self, event: Event) -> None:
        """Return when the stream has stored the event, had it already, or has a newer one.

        Raises:
            FailureError: NATS_UNAVAILABLE, when no acknowledgement came; the event may be stored
                or not, and publishing it again is safe within the stream's duplicate window.
        """
        if event.subject not in self._newest_sequence:
            await self._newest(event.subject)
        try:
            ack = await self._stream.publish(
                event.subject,
                event.body,
                stream=EVENTS.name,
                headers={
                    headers.MESSAGE_ID: event.message_id,
                    headers.BLOCK_NUMBER: str(event.block.number),
                    headers.BLOCK_HASH: event.block.hash,
                    headers.CONTRACT: CONTRACT_VERSION,
                    api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(
                        self._newest_sequence[event.subject]
                    ),
                },
            )
        except (nats.errors.Error, OSError) as error:
            if isinstance(error, nats.js.errors.APIError) and error.err_code == _WRONG_SEQUENCE:
                newest = await self._newest(event.subject)
                if newest is not None and newest.number >= event.block.number:
                    return
            kind = type(error).__name__
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"The event stream did not take the event: {kind}."
            ) from None
        heed_cancellation()
        self._newest_sequence[event.subject] = ack.seq

    async def last_block(self, subject: str) -> Block | None:
        """The block of the newest event of a subject; None when there is none.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        newest = await self._newest(subject)
        return None if newest is None or newest.event is None else newest.event.block

    async def _newest(self, subject: str) -> KeptEvent | None:
        newest = await self._kept.newest(subject)
        self._newest_sequence[subject] = 0 if newest is None else newest.sequence
        return newest
