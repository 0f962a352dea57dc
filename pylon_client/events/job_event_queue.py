"""The announced changes of one job over NATS."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Self

import nats.errors
from nats.aio.msg import Msg

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.nats.nats_errors import PermissionViolation

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription


class JobEventQueue:
    """Subscribes to the changes of a job within an `async with` block.

    Args:
        connection: the connection of the job's identity.
        subject: where the changes are published.
    """

    def __init__(self, connection: NatsConnection, subject: str) -> None:
        self._connection = connection
        self._subject = subject
        self._received: asyncio.Queue[bytes | FailureError | None] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._stack = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        try:
            self._subscription = await self._connection.subscribe(self._subject, self._on_message)
        except (nats.errors.Error, OSError):
            raise _no_connection_error() from None
        self._stack.callback(self._connection.on_gap(lambda: self._received.put_nowait(None)))
        self._stack.callback(
            self._connection.on_permission_violation(self._on_permission_violation)
        )
        closing = asyncio.create_task(self._on_close())
        self._stack.callback(closing.cancel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        # With a connection that is gone, so is the subscription.
        with contextlib.suppress(nats.errors.Error, OSError):
            if self._subscription is not None:
                await self._subscription.unsubscribe()

    async def get(self) -> bytes | None:
        """Return the body of the next change; None where changes may have been missed.

        Raises:
            FailureError: no more changes come.
        """
        received = await self._received.get()
        if isinstance(received, FailureError):
            raise received
        return received

    async def _on_message(self, message: Msg) -> None:
        self._received.put_nowait(message.data)

    def _on_permission_violation(
        self, violation: PermissionViolation, failure: FailureError
    ) -> None:
        if violation.denies_subscribe(self._subject):
            self._received.put_nowait(failure)

    async def _on_close(self) -> None:
        await self._connection.closed.wait()
        self._received.put_nowait(_no_connection_error())


def _no_connection_error() -> FailureError:
    return FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
