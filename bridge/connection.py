"""The bridge's connection to NATS: made in the background, and made anew for as long as it runs."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from bridge.event_buffers import follow_subject, subscribe
from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import BRIDGE_USER
from pylon_client.events.feed import FeedEvent
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_connection import (
    ConnectionCounts,
    ConnectionOptions,
    NatsConnection,
    connect,
)
from pylon_client.nats.nats_reply import Reply

logger = logging.getLogger(__name__)

RETRY_INITIAL_DELAY_S: Final = 0.1
RETRY_MAX_DELAY_S: Final = 2.0


class NatsPort(Protocol):
    """What the routes need of NATS."""

    def events(self, subject: str) -> AsyncGenerator[Sequence[FeedEvent]]:
        """The values of a subject: all that are kept, then those that come, once and in order.

        It never ends by itself: while there is no connection, it waits for one.
        """
        ...

    def subscribe(
        self, subject: str, callback: Callable[[bytes], None]
    ) -> AbstractAsyncContextManager[None]:
        """Within the block, `callback` is given what is published on a subject; some may get lost.

        Raises:
            FailureError: NATS_UNAVAILABLE, since nothing can be heard now.
        """
        ...

    @property
    def is_connected(self) -> bool:
        """Whether a request sent now would leave this process."""
        ...

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """The successful answer to a request, within `timeout_s` seconds.

        Raises:
            FailureError: there is none; it says why.
        """
        ...


def bridge_connection_options(settings: DeploymentSettings) -> ConnectionOptions:
    """Where a bridge connects to, and as whom.

    Always as the user `bridge`: workers answer to its inbox, and a NATS that asks for no
    password does not mind.
    """
    return ConnectionOptions(
        urls=tuple(settings.nats_urls),
        user=BRIDGE_USER,
        password=settings.nats_bridge_password.get_secret_value(),
        name="pylon-bridge",
        tls=settings.nats_tls,
    )


class BridgeConnection:
    """Requests over a connection that `keep_connected` makes and holds beside them.

    Requests never wait for a first connect, which may take long: without a connection they fail
    at once. A connection that breaks heals by itself; one that ended for good is replaced.
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
        """Whether a request sent now would leave this process."""
        return self._connection is not None and self._connection.is_connected

    @property
    def counts(self) -> ConnectionCounts:
        """What has happened on the connection that there is; zeros while there is none."""
        return ConnectionCounts() if self._connection is None else self._connection.counts

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """The successful answer to a request; see `Connection.request`.

        Raises:
            FailureError: there is none; it says why.
        """
        if self._connection is None:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
        try:
            return await self._connection.request(subject, body, headers, timeout_s)
        except FailureError as error:
            if not self._is_stopping or error.code is not ErrorCode.NATS_UNAVAILABLE:
                raise
            # Not NATS is gone, but this process is about to be.
            raise FailureError(
                ErrorCode.SHUTTING_DOWN, "This bridge stops; ask again, of another."
            ) from error

    def events(self, subject: str) -> AsyncGenerator[Sequence[FeedEvent]]:
        """The values of a subject, over whichever connection there is; see `NatsPort`."""
        return follow_subject(self._wait_connected, subject)

    def subscribe(
        self, subject: str, callback: Callable[[bytes], None]
    ) -> AbstractAsyncContextManager[None]:
        """What is published on a subject while this connection lasts; see `NatsPort`."""
        if self._connection is None:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")
        return subscribe(self._connection, subject, callback)

    async def _wait_connected(self) -> NatsConnection:
        while (connection := self._connection) is None:
            await self._connected_event.wait()
        return connection

    async def keep_connected(self) -> None:
        """Connect, and connect again whenever that is needed, until cancelled; then close.

        Raises:
            FailureError: INVALID, for options under which no connection can ever be made.
        """
        wait_s = RETRY_INITIAL_DELAY_S
        last_problem = ""
        while True:
            try:
                connection = await self._connect(self._options)
            except FailureError as error:
                if error.code is ErrorCode.INVALID:
                    raise
                if str(error) != last_problem:
                    last_problem = str(error)
                    logger.warning("Requests are refused until this is mended: %s", error)
            else:
                logger.info("Connected to NATS")
                wait_s = RETRY_INITIAL_DELAY_S
                last_problem = ""
                await self._wait_closed(connection)
            raise_if_cancelled()
            await asyncio.sleep(random.uniform(wait_s / 2, wait_s))  # noqa: S311 -- jitter, no secret
            wait_s = min(wait_s * 2, RETRY_MAX_DELAY_S)

    async def _wait_closed(self, connection: NatsConnection) -> None:
        self._connection = connection
        self._connected_event.set()
        try:
            raise_if_cancelled()
            await connection.closed.wait()
            logger.warning("The connection to NATS was closed for good: another one is made")
        except asyncio.CancelledError:
            self._is_stopping = True
            raise
        finally:
            self._connection = None
            self._connected_event.clear()
            await connection.close()
