"""The event stream in JetStream: stored before it counts as published, and kept once."""

from typing import Final

import nats.errors
from nats.js.client import JetStreamContext

from pylon.blocks.events import Event
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import CONTRACT_VERSION
from pylon_client.contract.topology import EVENTS
from pylon_client.transport.connection import Connection
from pylon_client.transport.feed import last_in_stream

ACK_TIMEOUT_S: Final = 5.0


class JetStreamEvents:
    """Publishes events, and tells which block the newest one of a subject is of."""

    def __init__(self, connection: Connection) -> None:
        self._stream = JetStreamContext(connection.nats, timeout=ACK_TIMEOUT_S)
        self._last = last_in_stream(connection)

    async def publish(self, event: Event) -> None:
        """Return when the stream has stored the event, or had it already.

        Raises:
            FailureError: NATS_UNAVAILABLE, when no acknowledgement came; the event may be stored
                or not, and publishing it again is safe within the stream's duplicate window.
        """
        try:
            await self._stream.publish(
                event.subject,
                event.body,
                stream=EVENTS.name,
                headers={
                    headers.MESSAGE_ID: event.message_id,
                    headers.BLOCK_NUMBER: str(event.block.number),
                    headers.BLOCK_HASH: event.block.hash,
                    headers.CONTRACT: CONTRACT_VERSION,
                },
            )
        except (nats.errors.Error, OSError) as error:
            kind = type(error).__name__
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"The event stream did not take the event: {kind}."
            ) from None

    async def last_block(self, subject: str) -> Block | None:
        """The block of the newest event of a subject; None when there is none.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        event = await self._last(subject)
        return None if event is None else event.block
