"""The bridge's NATS connection: established in the background and replaced when it closes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from bridge.event_buffers import follow_subject, subscribe
from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import BRIDGE_USER
from pylon_client.events.feed import FeedEvent
from pylon_client.exponential_backoff import Backoff
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.connection_counts import ConnectionCounts
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_client.nats.nats_reply import Reply

logger = logging.getLogger(__name__)

RETRY_INITIAL_DELAY_S: Final = 0.1
RETRY_MAX_DELAY_S: Final = 2.0


class NatsPort(Protocol):
    """The NATS operations that routes use."""

    async def follow(self, subject: str, receive: Callable[[Sequence[FeedEvent]], None]) -> None:
        """Pass the stored events of a subject to `receive`, then new ones, each once and in order.

        It never ends by itself: without a connection, it waits for one.
        """
        ...

    def subscribe(
        self, subject: str, callback: Callable[[bytes], None]
    ) -> AbstractAsyncContextManager[None]:
        """Call `callback` with each message of a subject within the block; messages may get lost.

        Raises:
            FailureError: NATS_UNAVAILABLE without a connection.
        """
        ...

    @property
    def is_connected(self) -> bool:
        """Whether the connection is established."""
        ...

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """Send a request and return its successful reply within `timeout_s` seconds.

        Raises:
            FailureError: the request failed, or no reply arrived.
        """
        ...


def bridge_connection_options(settings: DeploymentSettings) -> ConnectionOptions:
    """Return the connection options of a bridge.

    The user is always `bridge`: workers reply to its inbox prefix, and a server without users
    ignores it.
    """
    return ConnectionOptions(
        urls=tuple(settings.nats_urls),
        user=BRIDGE_USER,
        password=settings.nats_bridge_password.get_secret_value(),
        name="pylon-bridge",
        tls=settings.nats_tls,
    )


class BridgeConnection:
    """A NATS connection that `keep_connected` establishes and replaces in the background.

    Requests never wait for the first connect, which may take long: without a connection they fail
    immediately. A broken connection reconnects by itself; a closed one is replaced.
    """

    def __init__(
        self,
        options: ConnectionOptions,
        connect: Callable[[ConnectionOptions], Awaitable[NatsConnection]] = connect,
    ) -> None:
        self._options = options
        self._connect = connect
        self._connection: NatsConnection | None = None
        self._connected_event = asyncio.Event()
        self._is_stopping = False

    @property
    def is_connected(self) -> bool:
        """Whether the connection is established."""
        return self._connection is not None and self._connection.is_connected

    @property
    def counts(self) -> ConnectionCounts:
        """Counters of the current connection; zeros without one."""
        return ConnectionCounts() if self._connection is None else self._connection.counts

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """Send a request and return its successful reply; see `NatsConnection.request`.

        Raises:
            FailureError: the request failed, or no reply arrived.
        """
        if self._connection is None:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
        try:
            return await self._connection.request(subject, body, headers, timeout_s)
        except FailureError as error:
            if not self._is_stopping or error.code is not ErrorCode.NATS_UNAVAILABLE:
                raise
            # NATS is available; this process is stopping.
            raise FailureError(
                ErrorCode.SHUTTING_DOWN, "This bridge is stopping; retry at another one."
            ) from error

    async def follow(self, subject: str, receive: Callable[[Sequence[FeedEvent]], None]) -> None:
        """Pass the events of a subject to `receive`, across reconnects; see `NatsPort`."""
        await follow_subject(self.wait_connected, subject, receive)

    def subscribe(
        self, subject: str, callback: Callable[[bytes], None]
    ) -> AbstractAsyncContextManager[None]:
        """Call `callback` with each message while this connection lasts; see `NatsPort`."""
        if self._connection is None:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
        return subscribe(self._connection, subject, callback)

    async def wait_connected(self) -> NatsConnection:
        """Return the connection, when there is one."""
        while (connection := self._connection) is None:
            await self._connected_event.wait()
        return connection

    async def keep_connected(self) -> None:
        """Connect, and reconnect when the connection closes, until cancelled; then close it.

        Raises:
            FailureError: INVALID for options with which no connection can be established.
        """
        backoff = Backoff(RETRY_INITIAL_DELAY_S, RETRY_MAX_DELAY_S)
        last_problem = ""
        while True:
            try:
                connection = await self._connect(self._options)
            except FailureError as error:
                if error.code is ErrorCode.INVALID:
                    raise
                if str(error) != last_problem:
                    last_problem = str(error)
                    logger.warning(
                        "Could not connect to NATS: %s; requests fail until it is connected", error
                    )
            else:
                logger.info("Connected to NATS")
                backoff.reset()
                last_problem = ""
                await self._wait_closed(connection)
            raise_if_cancelled()
            await backoff.wait()

    async def _wait_closed(self, connection: NatsConnection) -> None:
        self._connection = connection
        self._connected_event.set()
        try:
            raise_if_cancelled()
            await connection.closed.wait()
            logger.warning("Connection to NATS closed; connecting again")
        except asyncio.CancelledError:
            self._is_stopping = True
            raise
        finally:
            self._connection = None
            self._connected_event.clear()
            await connection.close()
