"""A connection to NATS without a server: it delivers what is published on it, or by a test."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.nats_errors import PermissionViolation
from pylon_client.nats.nats_reply import Reply

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

Callback = Callable[[Any], Awaitable[None]]
ViolationListener = Callable[[PermissionViolation, FailureError], None]


class FakeConnection:
    """Stores the callbacks that its users register.

    Attributes:
        callbacks: the callback of each subscription, by subject.
        requests: subject, body, headers and timeout of each request.
        reply: returns the reply to a request, or raises its failure.
        published: subject and body of each published message.
        error: raised by `subscribe` and `publish` while it is set.
        closings: number of calls of `close`.
    """

    def __init__(self, reply: Callable[[str, bytes], Reply] | None = None) -> None:
        self.closed = asyncio.Event()
        self.is_connected = True
        self.callbacks: dict[str, Callback] = {}
        self.gap_listeners: list[Callable[[], None]] = []
        self.violation_listeners: list[ViolationListener] = []
        self.requests: list[tuple[str, bytes, Mapping[str, str], float]] = []
        self.published: list[tuple[str, bytes]] = []
        self.reply = reply
        self.error: Exception | None = None
        self.closings = 0
        self.nats = self

    async def subscribe(self, subject: str, callback: Callback, **_limits: int) -> None:
        self._raise_error()
        self.callbacks[subject] = callback

    @asynccontextmanager
    async def subscription(
        self, subject: str, callback: Callback, **_limits: int
    ) -> AsyncGenerator[None]:
        await self.subscribe(subject, callback)
        try:
            yield
        finally:
            del self.callbacks[subject]

    async def publish(self, subject: str, body: bytes) -> None:
        self._raise_error()
        self.published.append((subject, body))
        await self.deliver(subject, body)

    async def deliver(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Call the callbacks of all subscriptions that match a subject."""
        for wildcard, callback in tuple(self.callbacks.items()):
            if _matches(wildcard, subject):
                await callback(SimpleNamespace(subject=subject, data=body, headers=headers))

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> Reply:
        self.requests.append((subject, body, headers or {}, timeout_s))
        await asyncio.sleep(0)
        if self.reply is None:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "No worker is running.")
        return self.reply(subject, body)

    def on_gap(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.gap_listeners.append(listener)
        return lambda: self.gap_listeners.remove(listener)

    def on_permission_violation(self, listener: ViolationListener) -> Callable[[], None]:
        self.violation_listeners.append(listener)
        return lambda: self.violation_listeners.remove(listener)

    def report_gap(self) -> None:
        """Report that messages may have been lost."""
        for listener in tuple(self.gap_listeners):
            listener()

    def deny_subscription(self, subject: str) -> None:
        """Report that the server denies a subscription."""
        violation = PermissionViolation(subject.lower(), is_subscription=True)
        failure = FailureError(ErrorCode.FORBIDDEN, f"The user may not use {subject!r}.")
        for listener in tuple(self.violation_listeners):
            listener(violation, failure)

    async def flush(self) -> bool:
        await asyncio.sleep(0)
        return True

    async def close(self) -> None:
        self.closings += 1
        self.closed.set()

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error


def _matches(wildcard: str, subject: str) -> bool:
    expected, tokens = wildcard.split("."), subject.split(".")
    if expected[-1] == ">":
        expected, tokens = expected[:-1], tokens[: len(expected) - 1]
    return len(expected) == len(tokens) and all(
        one in {"*", other} for one, other in zip(expected, tokens, strict=True)
    )


def as_connection(connection: FakeConnection) -> "NatsConnection":
    """Return the connection under the type that its users expect."""
    return cast("NatsConnection", connection)
