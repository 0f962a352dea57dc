"""Heartbeats between the workers that publish."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from pylon.rpc.notifications import notify
from pylon_client.contract.subjects import (
    ALL_PUBLISHER_EVENTS,
    InvalidSubjectError,
    publisher_event_subject,
    validate_publisher_id,
)
from pylon_client.contract.types import PublisherId
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection

_AVAILABLE: Final = b"available"
_UNAVAILABLE: Final = b"unavailable"


class PublisherHeartbeats:
    """Sends and receives heartbeats, which say whether a worker can publish.

    Args:
        connection: as the user `worker`.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    async def send(self, publisher: PublisherId, *, is_available: bool) -> None:
        """Send a heartbeat to all workers, including this one; drop it while NATS is down."""
        body = _AVAILABLE if is_available else _UNAVAILABLE
        await notify(self._connection, publisher_event_subject(publisher), body)

    def subscription(
        self, callback: Callable[[PublisherId, bool], None]
    ) -> AbstractAsyncContextManager[None]:
        """Call `callback` with the sender of every heartbeat, and whether it is available.

        Raises:
            FailureError: NATS_UNAVAILABLE; there is no connection.
        """

        async def on_heartbeat(message: ReceivedMsg) -> None:
            with contextlib.suppress(InvalidSubjectError):
                publisher = validate_publisher_id(message.subject.rpartition(".")[2])
                callback(publisher, message.data == _AVAILABLE)

        return self._connection.subscription(ALL_PUBLISHER_EVENTS, on_heartbeat)
