"""What workers tell each other of the identities that they can sign for."""

import contextlib
from collections.abc import Callable

import nats.errors
from nats.aio.msg import Msg

from pylon_client.contract.subjects import (
    ALL_SIGNER_EVENTS,
    InvalidSubjectError,
    signer_event_subject,
    validate_identity_name,
)
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import NatsConnection


class SignerEvents:
    """Publishes and receives announcements of signers; one that is lost is followed by the next.

    Args:
        connection: as the user `worker`.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    async def publish(self, identity: IdentityName, body: bytes) -> None:
        """Send an announcement to all workers, this one included."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._connection.nats.publish(signer_event_subject(identity), body)

    async def subscribe(self, callback: Callable[[IdentityName, bytes], None]) -> None:
        """Call `callback` with every announcement."""

        async def take(message: Msg) -> None:
            with contextlib.suppress(InvalidSubjectError):
                callback(validate_identity_name(message.subject.rpartition(".")[2]), message.data)

        await self._connection.subscribe(ALL_SIGNER_EVENTS, take)
