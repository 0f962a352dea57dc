"""Self-healing connections to NATS, for the worker, the bridge and the client."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import nats.errors
from nats.aio.subscription import Subscription

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import OPEN_USER, inbox_prefix
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S
from pylon_client.log_limit import LogLimit, error_origin
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_client import PylonNatsClient, ReceivedMsg
from pylon_client.nats.nats_errors import (
    PermissionViolation,
    connect_failure,
    describe_error,
    is_authorization_error,
    parse_permission_violation,
)
from pylon_client.nats.nats_reply import Reply
from pylon_client.nats.pending_requests import PendingRequests
from pylon_client.nats.request_sender import RequestSender
from pylon_client.nats.server_pool import (
    RECONNECT_MAX_DELAY_S,
    next_server,
    shuffle_nats_urls,
)

__all__ = ["ConnectionCounts", "ConnectionOptions", "NatsConnection", "Reply", "connect"]

logger = logging.getLogger(__name__)

RECONNECT_GRACE_S: Final = 0.5
"""Seconds for which a request waits for a reconnect before it fails."""
READ_RETRY_WINDOW_S: Final = 2.0
"""Seconds after a disconnect within which failed reads are sent again.

Enough for this connection and those of workers to reach another server of the cluster."""
PING_INTERVAL_S: Final = 15
CLOSE_TIMEOUT_S: Final = 5.0
MAX_PENDING_MSGS: Final = 65_536
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024
MAX_HEADERS_BYTES: Final = 4096
"""Bytes of the server's `max_payload` that are reserved for headers.

The server closes the connection on a larger message."""


@dataclass(slots=True)
class ConnectionCounts:
    """Counters of a connection since it was created.

    Attributes:
        disconnects: lost connections to a server.
        reconnects: reconnects to a server.
        slow_consumer_drops: received messages that were dropped because the callback was too slow.
        permission_violations: publishes and subscriptions that the server denied.
    """

    disconnects: int = 0
    reconnects: int = 0
    slow_consumer_drops: int = 0
    permission_violations: int = 0


class NatsConnection:
    """A connection that reconnects by itself; created by `connect`.

    Attributes:
        nats: the NATS client, for streams and subscriptions.
        user: the NATS user of this connection.
        counts: counters of this connection.
        closed: set when the connection has ended permanently: by `close`, by `drain`, or because
            the server rejects the credentials. The owner must then stop or connect again.
    """

    def __init__(self, options: ConnectionOptions) -> None:
        self.nats: Final = PylonNatsClient()
        self.user: Final = options.user or OPEN_USER
        self.counts: Final = ConnectionCounts()
        self.closed: Final = asyncio.Event()
        self._options = options
        self._inbox_user: Final = options.inbox_user or self.user
        self._connected = asyncio.Event()
        self._has_connected = False
        self._is_closing = False
        self._disconnected_at_s = float("-inf")
        self._closing_task: asyncio.Task[None] | None = None
        self._closed_error = FailureError(
            ErrorCode.NATS_UNAVAILABLE, "The connection to NATS is closed."
        )
        self._connect_errors: list[Exception] = []
        self._log_limit = LogLimit()
        self._pending = PendingRequests()
        self._sender = RequestSender(
            self.nats, self._pending, self._await_connected, self._may_retry_read
        )
        self._gap_listeners: set[Callable[[], None]] = set()
        self._violation_listeners: set[Callable[[PermissionViolation, FailureError], None]] = set()

    @property
    def is_connected(self) -> bool:
        """Return whether the connection is established, as far as is known."""
        return self._connected.is_set() and self.nats.is_connected

    @property
    def max_payload_bytes(self) -> int:
        """Return the maximum size of a body, beside headers of up to `MAX_HEADERS_BYTES`."""
        return self.nats.max_payload - MAX_HEADERS_BYTES

    def on_gap(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever messages may have been lost: after a reconnect or a drop.

        Returns:
            A function that removes the listener.
        """
        self._gap_listeners.add(listener)
        return lambda: self._gap_listeners.discard(listener)

    def on_permission_violation(
        self, listener: Callable[[PermissionViolation, FailureError], None]
    ) -> Callable[[], None]:
        """Call `listener` with each permission violation and the error to raise for it.

        The server may end a subscription at any time. Subscribers learn only here that no more
        messages will arrive.

        Returns:
            A function that removes the listener.
        """
        self._violation_listeners.add(listener)
        return lambda: self._violation_listeners.discard(listener)

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Reply:
        """Return the successful reply to a request.

        Headers carry the timeout and the contract's version. If this call is cancelled, the worker
        cancels the request. A read is sent again after a disconnect, within the timeout.

        Args:
            subject: the subject of the request.
            body: JSON parameters.
            headers: further headers.
            timeout_s: timeout for the reply, in seconds.

        Raises:
            FailureError: the failure in the reply. Otherwise FORBIDDEN if the server denies the
                subject, NATS_UNAVAILABLE if there is no connection, the connection broke, or no
                worker is running, DEADLINE_EXCEEDED if there was no reply in time, and INVALID if
                the body is too large.
        """
        if len(body) > self.max_payload_bytes:
            raise FailureError(ErrorCode.INVALID, f"A request of {len(body)} bytes is too large.")
        return await self._sender.request(subject, body, headers or {}, timeout_s)

    def _may_retry_read(self, error: FailureError) -> bool:
        is_lost = time.monotonic() - self._disconnected_at_s < READ_RETRY_WINDOW_S
        is_over = self._is_closing or self.closed.is_set()
        return error.code is ErrorCode.NATS_UNAVAILABLE and is_lost and not is_over

    async def subscribe(
        self,
        subject: str,
        callback: Callable[[ReceivedMsg], Awaitable[None]],
        *,
        queue: str = "",
        max_pending_msgs: int = MAX_PENDING_MSGS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> Subscription:
        """Call `callback` with every message, one at a time, in the order of arrival.

        While more than `max_pending_msgs` messages or `max_pending_bytes` bytes are queued for the
        callback, new messages are dropped and counted, and the listeners of `on_gap` are called.

        Raises:
            nats.errors.Error: the connection is closed or draining.
        """
        subscribe = cast("Callable[..., Awaitable[Subscription]]", self.nats.subscribe)  # pyright: ignore[reportUnknownMemberType] -- the library leaves a parameter open
        return await subscribe(
            subject,
            queue=queue,
            cb=callback,
            pending_msgs_limit=max_pending_msgs,
            pending_bytes_limit=max_pending_bytes,
        )

    @contextlib.asynccontextmanager
    async def subscription(
        self,
        subject: str,
        callback: Callable[[ReceivedMsg], Awaitable[None]],
        *,
        max_pending_msgs: int = MAX_PENDING_MSGS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> AsyncGenerator[None]:
        """Subscribe within the block; see `subscribe`.

        Raises:
            FailureError: NATS_UNAVAILABLE; there is no connection.
        """
        try:
            subscription = await self.subscribe(
                subject,
                callback,
                max_pending_msgs=max_pending_msgs,
                max_pending_bytes=max_pending_bytes,
            )
        except (nats.errors.Error, OSError) as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"NATS subscription failed: {describe_error(error)}."
            ) from None
        try:
            yield
        finally:
            if not self.nats.is_closed and not self.nats.is_draining:
                # A lost connection has lost its subscriptions as well.
                with contextlib.suppress(nats.errors.Error, OSError):
                    await subscription.unsubscribe()

    async def flush(self) -> bool:
        """Wait until the server has processed everything sent before.

        Returns:
            Whether it has. If not, the connection is lost, and the listeners of `on_gap` are called
            after the reconnect.

        Raises:
            FailureError: NATS_UNAVAILABLE; the connection is closed.
        """
        try:
            await self.nats.flush()
        except (nats.errors.TimeoutError, OSError):
            return False
        except nats.errors.Error as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"NATS flush failed: {describe_error(error)}."
            ) from None
        return True

    async def drain(self) -> None:
        """Unsubscribe, process the received messages, send all queued output, and close."""
        self._is_closing = True
        if self.is_connected and not self.nats.is_draining:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self.nats.drain()
        await self.close()

    async def close(self) -> None:
        """Close without draining; a second call does nothing."""
        self._is_closing = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.nats.close()
        except (nats.errors.Error, OSError) as error:
            # Queued output cannot be flushed to a lost connection.
            logger.debug("NATS connection closed with an error: %s", error)
        self._mark_closed()

    async def open(self) -> None:
        """Connect for the first time; called by `connect`."""
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await self._first_connect()
        except (nats.errors.Error, OSError) as error:
            await self.close()
            raise connect_failure(self._options, error, self._connect_errors) from None
        except BaseException:
            await self.close()
            raise
        # The library has one policy for both: it either retries the first connect without end or
        # stops reconnecting later. So the settings change after the first connect.
        self.nats.options.update(
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_MAX_DELAY_S,
        )
        self._has_connected = True
        self._connected.set()

    async def _first_connect(self) -> None:
        credentials: dict[str, Any] = {}
        if self._options.user is not None:
            credentials = {"user": self._options.user, "password": self._options.password}
        await self.nats.connect(
            list(self._options.urls),
            name=self._options.name,
            inbox_prefix=inbox_prefix(self._inbox_user),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            dont_randomize=True,
            # The library passes it to asyncio, although it is typed as whole seconds.
            connect_timeout=cast("int", self._options.connect_timeout_s),
            ping_interval=PING_INTERVAL_S,
            tls=self._options.tls,
            reconnect_to_server_handler=next_server,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            **credentials,
        )

    async def _await_connected(self) -> None:
        if self.closed.is_set():
            raise self._closed_error
        if not self.is_connected:
            try:
                async with asyncio.timeout(RECONNECT_GRACE_S):
                    await self._connected.wait()
            except TimeoutError:
                raise _not_connected_error() from None

    async def _on_error(self, error: Exception) -> None:
        if not self._has_connected:
            self._connect_errors.append(error)
        if isinstance(error, nats.errors.SlowConsumerError):
            self.counts.slow_consumer_drops += 1
            self._notify_gap()
        elif denied := parse_permission_violation(error):
            self.counts.permission_violations += 1
            await self._on_permission_violation(denied)
        elif is_authorization_error(error) and self._has_connected and self._closing_task is None:
            # The user was removed or its password has changed: retries would not help.
            self._closed_error = connect_failure(self._options, error)
            logger.error("%s", self._closed_error.failure.detail)
            self._closing_task = asyncio.create_task(self.close())
        elif not isinstance(error, OSError | nats.errors.Error):
            if self._log_limit.is_due(error_origin(error)):
                logger.error("NATS message callback failed", exc_info=error)
        elif not isinstance(error, OSError | nats.errors.UnexpectedEOF):
            # A failed first connect is raised to the caller.
            level = logging.WARNING if self._has_connected else logging.DEBUG
            logger.log(level, "NATS error: %s", describe_error(error))

    async def _on_permission_violation(self, violation: PermissionViolation) -> None:
        if self._log_limit.is_due(violation):
            logger.warning("NATS permission violation of user %s: %s", self.user, violation)
        failure = FailureError(
            ErrorCode.FORBIDDEN, f"The user {self.user!r} may not use {violation.subject!r}."
        )
        no_inbox = violation.is_inbox_of(self._inbox_user)
        self._pending.fail(
            failure, matching=lambda subject: no_inbox or violation.denies_publish(subject)
        )
        for listener in tuple(self._violation_listeners):
            listener(violation, failure)
        if no_inbox:
            await self.nats.renew_inbox(violation.subject)

    async def _on_disconnected(self) -> None:
        if self._is_closing or not self._connected.is_set():
            return
        self._connected.clear()
        self.counts.disconnects += 1
        self._disconnected_at_s = time.monotonic()
        logger.warning("NATS connection lost; reconnecting")
        self._pending.fail(_not_connected_error())

    async def _on_reconnected(self) -> None:
        self.counts.reconnects += 1
        self._connected.set()
        logger.info("NATS connection restored")
        self._notify_gap()

    async def _on_closed(self) -> None:
        self._mark_closed()

    def _mark_closed(self) -> None:
        self._connected.clear()
        self.closed.set()
        self._pending.fail(self._closed_error)

    def _notify_gap(self) -> None:
        for listener in tuple(self._gap_listeners):
            listener()


async def connect(options: ConnectionOptions) -> NatsConnection:
    """Return a connection to one of the servers, which reconnects without a limit.

    The first connect fails fast: all servers are tried within `connect_timeout_s`.

    Raises:
        FailureError: NATS_UNAVAILABLE if no server responds, UNAUTHENTICATED if credentials are
            required, FORBIDDEN if they are rejected, INVALID if a URL is not valid or carries
            credentials. No text contains a password.
    """
    urls = shuffle_nats_urls(options.urls)
    for first in range(len(urls)):
        # A server that accepts the connection but stays silent ends the library's first connect.
        # So each server is tried first once, with its share of the timeout.
        connection = NatsConnection(
            replace(
                options,
                urls=urls[first:] + urls[:first],
                connect_timeout_s=options.connect_timeout_s / len(urls),
            )
        )
        try:
            await connection.open()
        except FailureError as failure:
            if failure.code is not ErrorCode.NATS_UNAVAILABLE or first == len(urls) - 1:
                raise
        else:
            return connection
    raise AssertionError("there is at least one URL, and each attempt returns or raises")


def _not_connected_error() -> FailureError:
    return FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
