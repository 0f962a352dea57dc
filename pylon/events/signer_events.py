"""What workers tell each other of the identities that they can sign for."""

import contextlib
from collections.abc import Callable

import nats.errors
from nats.aio.msg import Msg

from pylon_client.contract.subjects import (
    ALL_SIGNER_EVENTS,
    InvalidSubjectError,
    identity_name,
    signer_event,
)
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import Connection


class SignerEvents:
    """Publishes and receives announcements of signers; one that is lost is followed by the next.

    Args:
        connection: as the user `worker`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def publish(self, identity: IdentityName, body: bytes) -> None:
        """Send an announcement to all workers, this one included."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._connection.nats.publish(signer_event(identity), body)

    async def subscribe(self, observe: Callable[[IdentityName, bytes], None]) -> None:
        """Call `observe` with every announcement."""

        async def take(message: Msg) -> None:
            with contextlib.suppress(InvalidSubjectError):
                observe(identity_name(message.subject.rpartition(".")[2]), message.data)

        await self._connection.subscribe(ALL_SIGNER_EVENTS, take)
