"""The one way to hold a connection to NATS: for the worker, the bridge and the client alike."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import OPEN_USER, inbox_prefix
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S
from pylon_client.log_limit import LogLimit, error_origin
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_client import PylonNatsClient
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
"""For how long a request waits for a lost connection to come back before it fails."""
READ_RETRY_WINDOW_S: Final = 2.0
"""Seconds after the loss of a server for which reads that fail for it are sent again: enough for
this connection and those of workers to reach another server of the cluster."""
PING_INTERVAL_S: Final = 15
CLOSE_TIMEOUT_S: Final = 5.0
PENDING_MAX_MSGS: Final = 65_536
PENDING_MAX_BYTES: Final = 64 * 1024 * 1024
HEADERS_MAX_BYTES: Final = 4096
"""What is kept free of the server's `max_payload`: over it, the server ends the connection."""


@dataclass(slots=True)
class ConnectionCounts:
    """What has happened on a connection since it was made.

    Attributes:
        disconnects: how often the server was lost.
        reconnects: how often it was found again.
        slow_consumer_drops: messages that arrived but were dropped, since nobody took them.
        permission_violations: publishes and subscriptions that the server refused.
    """

    disconnects: int = 0
    reconnects: int = 0
    slow_consumer_drops: int = 0
    permission_violations: int = 0


class NatsConnection:
    """A connection that heals by itself; made by `connect`.

    Attributes:
        nats: the client of the NATS library, for streams and subscriptions.
        user: as which NATS user this is connected.
        counts: what has happened since.
        closed: set when the connection has ended for good, by `close`, `drain` or a refusal of
            the server's; who owns the connection must then end or make another.
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
        """Whether a server is reachable right now, as far as is known."""
        return self._connected.is_set() and self.nats.is_connected

    @property
    def max_payload_bytes(self) -> int:
        """The largest body, beside headers of up to `HEADERS_MAX_BYTES`, that the server takes."""
        return self.nats.max_payload - HEADERS_MAX_BYTES

    def on_gap(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever messages may have been missed: after a reconnect or a drop.

        Returns:
            What to call when it should no longer be called.
        """
        self._gap_listeners.add(listener)
        return lambda: self._gap_listeners.discard(listener)

    def on_permission_violation(
        self, listener: Callable[[PermissionViolation, FailureError], None]
    ) -> Callable[[], None]:
        """Call `listener` with what the server refuses, and with what is to be raised for it.

        It may take a subscription away at any time: whoever waits for messages hears of it here,
        since nothing else tells that none will come.

        Returns:
            What to call when it should no longer be called.
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
        """The successful answer to a request, within `timeout_s` seconds.

        The timeout and the contract's version travel in headers of the request. When this is
        cancelled, the worker ends its work. A read is sent again when its server is lost, as long
        as the timeout allows.

        Raises:
            FailureError: what the answer says, if it is a failure. Otherwise FORBIDDEN where the
                server refuses the subject, NATS_UNAVAILABLE where there is no connection, it
                broke while waiting, or no worker is running, DEADLINE_EXCEEDED where no answer
                came in time, and INVALID where the body is too large to send.
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
        callback: Callable[[Msg], Awaitable[None]],
        *,
        queue: str = "",
        pending_max_msgs: int = PENDING_MAX_MSGS,
        pending_max_bytes: int = PENDING_MAX_BYTES,
    ) -> Subscription:
        """Call `callback` with every message, one after the other, in the order they come.

        What comes while more than the given number of messages or bytes wait for the callback is
        dropped, counted, and told to the listeners of `on_gap`.
        """
        subscribe = cast("Callable[..., Awaitable[Subscription]]", self.nats.subscribe)  # pyright: ignore[reportUnknownMemberType] -- the library leaves a parameter open
        return await subscribe(
            subject,
            queue=queue,
            cb=callback,
            pending_msgs_limit=pending_max_msgs,
            pending_bytes_limit=pending_max_bytes,
        )

    async def drain(self) -> None:
        """Take no more messages, finish those at hand, send what is unsent, and close."""
        self._is_closing = True
        if self.is_connected and not self.nats.is_draining:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self.nats.drain()
        await self.close()

    async def close(self) -> None:
        """Close at once; it may be closed already."""
        self._is_closing = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.nats.close()
        except (nats.errors.Error, OSError) as error:
            # What was still unsent could not be flushed into a connection that is gone.
            logger.debug("closing the connection to NATS: %s", error)
        self._mark_closed()

    async def open(self) -> None:
        """Connect for the first time; `connect` is the way to call it."""
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await self._first_connect()
        except (nats.errors.Error, OSError) as error:
            await self.close()
            raise connect_failure(self._options, error, self._connect_errors) from None
        except BaseException:
            await self.close()
            raise
        # The library's one policy either never gives up on a first connect or gives up for good
        # on a later one: so the two get different settings.
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
            # Seconds as they are go to asyncio, though the library says that they are whole.
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
            # The user is gone or its password has changed: asking again would not help.
            self._closed_error = connect_failure(self._options, error)
            logger.error("%s", self._closed_error.failure.detail)
            self._closing_task = asyncio.create_task(self.close())
        elif not isinstance(error, OSError | nats.errors.Error):
            if self._log_limit.is_due(error_origin(error)):
                logger.error("NATS: taking a message failed", exc_info=error)
        elif not isinstance(error, OSError | nats.errors.UnexpectedEOF):
            # Before the first connect, the failure that is raised says it better.
            level = logging.WARNING if self._has_connected else logging.DEBUG
            logger.log(level, "NATS: %s", describe_error(error))

    async def _on_permission_violation(self, violation: PermissionViolation) -> None:
        if self._log_limit.is_due(violation):
            logger.warning("NATS refuses the user %s: %s", self.user, violation)
        failure = FailureError(
            ErrorCode.FORBIDDEN, f"The user {self.user!r} may not use {violation.subject!r}."
        )
        no_inbox = violation.is_inbox_of(self._inbox_user)
        self._pending.fail(
            failure, matching=lambda asked: no_inbox or violation.denies_publish(asked)
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
        logger.warning("NATS: the connection is lost")
        self._pending.fail(_not_connected_error())

    async def _on_reconnected(self) -> None:
        self.counts.reconnects += 1
        self._connected.set()
        logger.info("NATS: the connection is back")
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
    """A connection to one of the servers, which from then on heals by itself for ever.

    The first connect fails fast: every server is tried within `connect_timeout_s`.

    Raises:
        FailureError: NATS_UNAVAILABLE where no server answers, UNAUTHENTICATED where credentials
            are asked for, FORBIDDEN where they are refused, INVALID where a URL is none or
            carries credentials. No text holds a password.
    """
    urls = shuffle_nats_urls(options.urls)
    for first in range(len(urls)):
        # A server that takes the connection and stays silent ends the library's first connect,
        # so each server gets its turn to be the first, and its share of the time.
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
    raise AssertionError("there is at least one URL, and its turn either returned or raised")


def _not_connected_error() -> FailureError:
    return FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
