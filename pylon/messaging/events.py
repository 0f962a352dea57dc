"""The event stream in JetStream: stored before it counts as published, and kept once."""

from typing import Final, cast

import nats.errors
import nats.js.errors

from pylon.blocks.events import Event
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import CONTRACT_VERSION
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.transport.connection import Connection

ACK_TIMEOUT_S: Final = 5.0


class JetStreamEvents:
    """Publishes events, and tells which block the newest one of a subject is of."""

    def __init__(self, connection: Connection) -> None:
        self._js = connection.nats.jetstream(timeout=ACK_TIMEOUT_S)

    async def publish(self, event: Event) -> None:
        """Return when the stream has stored the event, or had it already.

        Raises:
            FailureError: NATS_UNAVAILABLE, when no acknowledgement came; the event may be stored
                or not, and publishing it again is safe within the stream's duplicate window.
        """
        try:
            await self._js.publish(
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
            raise _unavailable(error) from error

    async def last_block(self, subject: str) -> Block | None:
        """The block of the newest event of a subject; None when there is none.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        try:
            message = await self._js.get_last_msg(EVENTS.name, subject, direct=True)
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from error
        found = cast("dict[str, str]", message.headers or {})  # pyright: ignore[reportUnknownMemberType] - nats-py gives no types
        return Block(
            number=BlockNumber(int(found[headers.BLOCK_NUMBER])),
            hash=BlockHash(found[headers.BLOCK_HASH]),
        )


def _unavailable(error: Exception) -> FailureError:
    kind = type(error).__name__
    return FailureError(ErrorCode.NATS_UNAVAILABLE, f"The event stream does not answer: {kind}.")
