"""Events of one job over NATS."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.nats.nats_errors import PermissionViolation


class JobEventQueue:
    """Subscribes to the events of a job within an `async with` block.

    Args:
        connection: the connection of the job's identity.
        subject: the subject of the job's events.
    """

    def __init__(self, connection: NatsConnection, subject: str) -> None:
        self._connection = connection
        self._subject = subject
        self._received: asyncio.Queue[bytes | FailureError | None] = asyncio.Queue()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(
            self._connection.subscription(self._subject, self._on_message)
        )
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
        await self._stack.aclose()

    async def get(self) -> bytes | None:
        """Return the body of the next event; None if events may have been lost.

        Raises:
            FailureError: no more events follow.
        """
        received = await self._received.get()
        if isinstance(received, FailureError):
            raise received
        return received

    async def _on_message(self, message: ReceivedMsg) -> None:
        self._received.put_nowait(message.data)

    def _on_permission_violation(
        self, violation: PermissionViolation, failure: FailureError
    ) -> None:
        if violation.denies_subscribe(self._subject):
            self._received.put_nowait(failure)

    async def _on_close(self) -> None:
        await self._connection.closed.wait()
        self._received.put_nowait(
            FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
        )
