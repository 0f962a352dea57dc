"""The one way to hold a connection to NATS: for the worker, the bridge and the client alike."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import nats.errors
from nats.aio.client import Client

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import CONTRACT_VERSION, OPEN_USER, inbox_prefix
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S
from pylon_client.transport.reply import Reply, success
from pylon_client.transport.servers import (
    RECONNECT_LONGEST_WAIT_S,
    checked_urls,
    next_server,
    place,
)

logger = logging.getLogger(__name__)

RECONNECT_GRACE_S: Final = 0.5
"""For how long a request waits for a lost connection to come back before it fails."""
PING_INTERVAL_S: Final = 15
CLOSE_WITHIN_S: Final = 5.0
HEADERS_MAX_BYTES: Final = 4096
"""What is kept free of the server's `max_payload`: over it, the server ends the connection."""

_DENIED = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to reach NATS, and as whom.

    Attributes:
        urls: servers of one cluster, `nats://host:port` or `tls://host:port`, without credentials.
        user: the NATS user; None connects without credentials, which an open deployment takes
            for the user `open`.
        password: that user's password: for an identity its token.
        name: what the connection is called in the server's monitoring.
        connect_timeout_s: how long the first connect may take in all.
    """

    urls: tuple[str, ...]
    user: str | None = None
    password: str = field(default="", repr=False)
    name: str = "pylon"
    connect_timeout_s: float = 5.0


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


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request whose answer is awaited, and how to end the wait early."""

    subject: str
    scope: asyncio.Timeout
    failure: FailureError | None = None

    def fail(self, failure: FailureError) -> None:
        if self.failure is None and not self.scope.expired():
            self.failure = failure
            self.scope.reschedule(asyncio.get_running_loop().time())


class Connection:
    """A connection that heals by itself; made by `connect`.

    Attributes:
        nats: the client of the NATS library, for streams and subscriptions.
        user: as which NATS user this is connected.
        counts: what has happened since.
        closed: set when the connection has ended for good, by `close`, `drain` or a refusal of
            the server's; who owns the connection must then end or make another.
    """

    def __init__(self, options: ConnectionOptions) -> None:
        self.nats: Final = Client()
        self.user: Final = options.user or OPEN_USER
        self.counts: Final = ConnectionCounts()
        self.closed: Final = asyncio.Event()
        self._options = options
        self._connected = asyncio.Event()
        self._opened = False
        self._leaving = False
        self._refused: asyncio.Task[None] | None = None
        self._ended = FailureError(ErrorCode.NATS_UNAVAILABLE, "The connection to NATS is closed.")
        self._waiting: set[_Waiting] = set()
        self._gap_listeners: set[Callable[[], None]] = set()

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

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Reply:
        """The successful answer to a request, within `timeout_s` seconds.

        The deadline and the contract's version travel in headers of the request.

        Raises:
            FailureError: what the answer says, if it is a failure. Otherwise FORBIDDEN where the
                server refuses the subject, NATS_UNAVAILABLE where there is no connection, it
                broke while waiting, or no worker is running, DEADLINE_EXCEEDED where no answer
                came in time, and INVALID where the body is too large to send.
        """
        if timeout_s <= 0:
            raise _deadline_exceeded()
        if len(body) > self.max_payload_bytes:
            raise FailureError(ErrorCode.INVALID, f"A request of {len(body)} bytes is too large.")
        sent_headers = {
            **(headers or {}),
            wire_headers.DEADLINE: wire_headers.deadline_in(timeout_s),
            wire_headers.CONTRACT: CONTRACT_VERSION,
        }
        return success(await self._ask(subject, body, sent_headers, timeout_s))

    async def drain(self) -> None:
        """Take no more messages, finish those at hand, send what is unsent, and close."""
        self._leaving = True
        if self.is_connected and not self.nats.is_draining:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self.nats.drain()
        await self.close()

    async def close(self) -> None:
        """Close at once; it may be closed already."""
        self._leaving = True
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self.nats.close()
        except (nats.errors.Error, OSError) as error:
            # What was still unsent could not be flushed into a connection that is gone.
            logger.debug("closing the connection to NATS: %s", error)
        self._end()

    async def open(self) -> None:
        """Connect for the first time; `connect` is the way to call it."""
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await self._first_connect()
        except (nats.errors.Error, OSError) as error:
            await self.close()
            raise self._connect_failure(error) from None
        except BaseException:
            await self.close()
            raise
        # The library's one policy either never gives up on a first connect or gives up for good
        # on a later one: so the two get different settings.
        self.nats.options.update(
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_LONGEST_WAIT_S,
        )
        self._opened = True
        self._connected.set()

    async def _first_connect(self) -> None:
        credentials: dict[str, Any] = {}
        if self._options.user is not None:
            credentials = {"user": self._options.user, "password": self._options.password}
        await self.nats.connect(
            list(self._options.urls),
            name=self._options.name,
            inbox_prefix=inbox_prefix(self.user),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            dont_randomize=True,
            # Seconds as they are go to asyncio, though the library says that they are whole.
            connect_timeout=cast("int", self._options.connect_timeout_s),
            ping_interval=PING_INTERVAL_S,
            reconnect_to_server_handler=next_server,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            **credentials,
        )

    def _connect_failure(self, error: Exception) -> FailureError:
        where = ", ".join(place(url) for url in self._options.urls)
        if not _is_refusal(error):
            return FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"NATS cannot be reached at {where}: {_kind_of(error)}."
            )
        if self._options.user is None:
            return FailureError(
                ErrorCode.UNAUTHENTICATED, f"NATS at {where} asks for a user and its token."
            )
        return FailureError(
            ErrorCode.FORBIDDEN,
            f"NATS at {where} does not accept this token for the user {self._options.user!r}.",
        )

    async def _ask(
        self, subject: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> Reply:
        waiting: _Waiting | None = None
        try:
            async with asyncio.timeout(timeout_s) as scope:
                await self._await_connected()
                waiting = _Waiting(subject, scope)
                self._waiting.add(waiting)
                # The library's deadline is later than ours, which alone knows why it ended.
                message = await self.nats.request(
                    subject, body, timeout=timeout_s + 1, headers=headers
                )
        except nats.errors.NoRespondersError:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, "No worker is running that could answer."
            ) from None
        except TimeoutError:
            if waiting is not None and waiting.failure is not None:
                raise waiting.failure from None
            raise _deadline_exceeded() from None
        except nats.errors.Error as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"NATS did not take the request: {_kind_of(error)}."
            ) from None
        finally:
            if waiting is not None:
                self._waiting.discard(waiting)
        return Reply(message.data, message.headers or {})

    async def _await_connected(self) -> None:
        if self.closed.is_set():
            raise self._ended
        if not self.is_connected:
            try:
                async with asyncio.timeout(RECONNECT_GRACE_S):
                    await self._connected.wait()
            except TimeoutError:
                raise _not_connected() from None

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, nats.errors.SlowConsumerError):
            self.counts.slow_consumer_drops += 1
            self._tell_of_gap()
        elif denied := _DENIED.search(str(error).lower()):
            self.counts.permission_violations += 1
            self._on_denied(*denied.groups())
        elif _is_refusal(error) and self._opened and self._refused is None:
            # The user is gone or its password has changed: asking again would not help.
            self._ended = self._connect_failure(error)
            logger.error("%s", self._ended.failure.detail)
            self._refused = asyncio.create_task(self.close())
        elif not isinstance(error, OSError | nats.errors.Error):
            logger.error("NATS: taking a message failed", exc_info=error)
        elif not isinstance(error, OSError | nats.errors.UnexpectedEOF):
            # Before the first connect, the failure that is raised says it better.
            level = logging.WARNING if self._opened else logging.DEBUG
            logger.log(level, "NATS: %s", _kind_of(error))

    def _on_denied(self, action: str, subject: str) -> None:
        # The library gives the server's text in lower case, so subjects are compared that way.
        logger.warning("NATS refuses the user %s: %s to %s", self.user, action, subject)
        no_inbox = action == "subscription" and subject.startswith(
            f"{inbox_prefix(self.user)}.".lower()
        )
        for waiting in tuple(self._waiting):
            if no_inbox or (action == "publish" and waiting.subject.lower() == subject):
                waiting.fail(
                    FailureError(
                        ErrorCode.FORBIDDEN,
                        f"The user {self.user!r} may not ask for {waiting.subject!r}.",
                    )
                )

    async def _on_disconnected(self) -> None:
        if self._leaving or not self._connected.is_set():
            return
        self._connected.clear()
        self.counts.disconnects += 1
        logger.warning("NATS: the connection is lost")
        self._fail_all(_not_connected())

    async def _on_reconnected(self) -> None:
        self.counts.reconnects += 1
        self._connected.set()
        logger.info("NATS: the connection is back")
        self._tell_of_gap()

    async def _on_closed(self) -> None:
        self._end()

    def _end(self) -> None:
        self._connected.clear()
        self.closed.set()
        self._fail_all(self._ended)

    def _fail_all(self, failure: FailureError) -> None:
        for waiting in tuple(self._waiting):
            waiting.fail(failure)

    def _tell_of_gap(self) -> None:
        for listener in tuple(self._gap_listeners):
            listener()


async def connect(options: ConnectionOptions) -> Connection:
    """A connection to one of the servers, which from then on heals by itself for ever.

    The first connect fails fast: every server is tried within `connect_timeout_s`.

    Raises:
        FailureError: NATS_UNAVAILABLE where no server answers, UNAUTHENTICATED where credentials
            are asked for, FORBIDDEN where they are refused, INVALID where a URL is none or
            carries credentials. No text holds a password.
    """
    urls = checked_urls(options.urls)
    for first in range(len(urls)):
        # A server that takes the connection and stays silent ends the library's first connect,
        # so each server gets its turn to be the first, and its share of the time.
        connection = Connection(
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


def _is_refusal(error: Exception) -> bool:
    return "authorization violation" in str(error).lower() or isinstance(
        error, nats.errors.AuthorizationError
    )


def _deadline_exceeded() -> FailureError:
    return FailureError(ErrorCode.DEADLINE_EXCEEDED, "No answer came within the time given.")


def _not_connected() -> FailureError:
    return FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")


def _kind_of(error: Exception) -> str:
    """A short text on an error that can hold nothing of what was sent."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError() | nats.errors.NoServersError():
            return "nobody listens there"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return str(error).removeprefix("nats: ")
