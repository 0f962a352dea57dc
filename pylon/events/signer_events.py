"""Announcements between workers of the identities that they can sign for."""

import contextlib
from collections.abc import Callable

from pylon.rpc.notifications import notify, on_notification
from pylon_client.contract.subjects import (
    ALL_SIGNER_EVENTS,
    InvalidSubjectError,
    signer_event_subject,
    validate_identity_name,
)
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import NatsConnection


class SignerEvents:
    """Publishes and receives announcements of signers; a lost one is followed by the next.

    Args:
        connection: as the user `worker`.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    async def publish(self, identity: IdentityName, body: bytes) -> None:
        """Send an announcement to all workers, including this one."""
        await notify(self._connection, signer_event_subject(identity), body)

    async def subscribe(self, callback: Callable[[IdentityName, bytes], None]) -> None:
        """Call `callback` with the identity and the payload of every announcement."""

        def on_announcement(subject: str, body: bytes) -> None:
            with contextlib.suppress(InvalidSubjectError):
                callback(validate_identity_name(subject.rpartition(".")[2]), body)

        await on_notification(self._connection, ALL_SIGNER_EVENTS, on_announcement)
