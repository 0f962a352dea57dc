"""A NATS client without a server: it records calls, and tests invoke its callbacks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from nats.aio.msg import Msg

from pylon_client.nats.connection_lifecycle import ConnectionLifecycle

if TYPE_CHECKING:
    from nats.aio.client import Client


class FakeSubscription:
    """A subscription that records whether it was cancelled or drained."""

    def __init__(self, subject: str, options: dict[str, Any]) -> None:
        self.subject = subject
        self.options = options
        self.is_unsubscribed = False

    async def unsubscribe(self) -> None:
        self.is_unsubscribed = True

    async def drain(self) -> None:
        self.is_unsubscribed = True

    async def deliver(self, message: Msg) -> None:
        """Pass a message to the callback, as the client does."""
        await self.options["cb"](message)


class FakeNatsClient:
    """Replaces `PylonNatsClient`.

    Attributes:
        is_connected, is_closed, is_draining: state of the client; tests change it.
        max_payload: the server's limit, in bytes.
        options: options of the library, which `connect` sets.
        callbacks: the `…_cb` arguments of `connect`.
        error: raised by every later call; None for success.
        on_connect: replaces the effect of `connect`, with its first URL; None connects.
        on_request: returns the reply to a request.
        requested: subjects of the requests.
        published: subject, body and headers of published messages.
        renewed_inboxes: arguments of `renew_inbox`.
        subscriptions: in the order in which they were made.
        calls: names of the other calls, in order.
    """

    on_connect: Callable[[str], Awaitable[None]] | None = None

    def __init__(self) -> None:
        self.is_connected = False
        self.is_closed = False
        self.is_draining = False
        self.max_payload = 10_000
        self.options: dict[str, Any] = {}
        self.callbacks: dict[str, Callable[..., Awaitable[None]]] = {}
        self.error: Exception | None = None
        self.on_request: Callable[[str], Awaitable[Msg]] | None = None
        self.requested: list[str] = []
        self.published: list[tuple[str, bytes, dict[str, str]]] = []
        self.renewed_inboxes: list[str] = []
        self.subscriptions: list[FakeSubscription] = []
        self.calls: list[str] = []

    async def connect(self, urls: list[str], **options: Any) -> None:
        self.options = {"urls": urls, **options}
        self.callbacks = {name: each for name, each in options.items() if name.endswith("_cb")}
        if self.on_connect is not None:
            await self.on_connect(urls[0])
        self.is_connected = True

    async def close(self) -> None:
        self._record("close")
        self.is_connected = False
        self.is_closed = True

    async def drain(self) -> None:
        self._record("drain")
        self.is_draining = True

    async def flush(self) -> None:
        self._record("flush")

    async def request(self, subject: str, _body: bytes, **_options: Any) -> Msg:
        self.requested.append(subject)
        if self.on_request is not None:
            return await self.on_request(subject)
        await asyncio.Event().wait()
        raise AssertionError("nothing sets the event")

    async def publish(
        self, subject: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self._record("publish")
        self.published.append((subject, body, headers or {}))

    async def subscribe(self, subject: str, **options: Any) -> FakeSubscription:
        self._record("subscribe")
        self.subscriptions.append(FakeSubscription(subject, options))
        return self.subscriptions[-1]

    async def drain_subscription(self, subscription: FakeSubscription) -> None:
        await subscription.drain()

    async def renew_inbox(self, subject: str) -> None:
        self.renewed_inboxes.append(subject)

    def _record(self, call: str) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error


def client_of(connection: ConnectionLifecycle) -> FakeNatsClient:
    """Return the client of a connection that was made with the fixture `fake_nats`."""
    return cast("FakeNatsClient", connection.nats)


def message(
    subject: str = "", data: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
) -> Msg:
    """Return a received message."""
    client = cast("Client", None)
    return Msg(_client=client, subject=subject, reply=reply, data=data, headers=headers)
