"""Self-healing connections to NATS, for the worker, the bridge and the client."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, cast

import nats.errors
from nats.aio.subscription import Subscription

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import is_read, needs_signer
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S
from pylon_client.nats.connection_lifecycle import ConnectionLifecycle
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_errors import describe_error
from pylon_client.nats.nats_reply import Reply
from pylon_client.nats.request_sender import NoResponderError, RequestSender
from pylon_client.nats.server_pool import shuffle_nats_urls

__all__ = ["ConnectionOptions", "NatsConnection", "connect"]

MAX_HEADERS_BYTES: Final = 4096
"""Bytes of the server's `max_payload` that are reserved for headers.

The server closes the connection on a larger message."""
READ_RETRY_DELAY_S: Final = 0.05
READ_RETRY_WINDOW_S: Final = 2.0
"""Seconds after a disconnect within which failed reads are sent again.

Enough for this connection and those of workers to reach another server of the cluster."""
MAX_SIGNER_WAIT_S: Final = 15.0
"""Seconds for which a request waits for a signer to start; about the duration of a restart."""
SIGNER_RETRY_DELAY_S: Final = 0.25
MAX_PENDING_MSGS: Final = 65_536
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024


class NatsConnection(ConnectionLifecycle):
    """Requests and subscriptions over a connection that reconnects by itself; made by `connect`."""

    def __init__(self, options: ConnectionOptions) -> None:
        super().__init__(options)
        self._sender = RequestSender(self.nats, self._pending, self._await_connected)

    @property
    def max_payload_bytes(self) -> int:
        """Return the maximum size of a body, beside headers of up to `MAX_HEADERS_BYTES`."""
        return self.nats.max_payload - MAX_HEADERS_BYTES

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Reply:
        """Return the successful reply to a request.

        Headers carry the timeout and the contract's version. If this call is cancelled, the worker
        cancels the request. Within the timeout, a read is sent again after a disconnect, and a
        request that needs a signer while no signer runs.

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
        until_s = time.monotonic() + timeout_s
        signer_until_s = time.monotonic() + MAX_SIGNER_WAIT_S
        while True:
            left_s = until_s - time.monotonic()
            try:
                return await self._sender.send(subject, body, headers or {}, left_s)
            except FailureError as error:
                delay_s = self._retry_delay_s(subject, error, signer_until_s)
                if delay_s is None:
                    raise
            await asyncio.sleep(min(delay_s, max(until_s - time.monotonic(), 0.0)))

    def _retry_delay_s(
        self, subject: str, error: FailureError, signer_until_s: float
    ) -> float | None:
        """Return the delay before a request is sent again; None if it must not be."""
        if is_read(subject) and self._may_retry_read(error):
            return READ_RETRY_DELAY_S
        is_starting = isinstance(error, NoResponderError) and time.monotonic() < signer_until_s
        return SIGNER_RETRY_DELAY_S if is_starting and needs_signer(subject) else None

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
