"""The owner of a connection to a chain node: timeouts, reconnection and backoff.

Only the owner opens, closes and stores a connection. Each operation runs in a separate task: a
caller that is cancelled or times out does not interrupt the SDK within state that other callers
share.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from pylon.chain.chain_guard import WRONG_CHAIN_DETAIL
from pylon.chain.faults import MAX_RETRY_AFTER_S, Fault, Recovery, describe_error, fault_of
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.exponential_backoff import Backoff
from pylon_client.log_limit import LogLimit, error_origin

logger = logging.getLogger(__name__)

CLOSE_ATTEMPTS_S: Final = (2.0, 12.0)
"""Timeouts of the attempts to close a connection, in seconds.

The first attempt can block: on Python 3.11, a task that is cancelled at the moment when its awaited
result arrives may ignore the cancellation. The last timeout exceeds the close timeout of the
WebSocket library (10 s).
"""
MAX_COUNTED_FAILURES: Final = 10
"""Number of consecutive failures to connect that are all logged; then logs are rate-limited."""


class ChainClient(Protocol):
    """A client of the SDK with one connection."""

    async def connect(self) -> None:
        """Open the connection."""
        ...

    async def close(self) -> None:
        """Close the connection; requests in flight fail."""
        ...


ClientT = TypeVar("ClientT", bound=ChainClient)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """Timeouts and limits of a connection to a chain node.

    Attributes:
        connect_s: timeout of opening a connection, with its first requests, in seconds.
        operation_s: timeout of one operation in seconds, also if no caller waits for it any more.
        discard_after_silence_s: minimum time in seconds without a response before the timeout of a
            caller discards the connection, so that a short timeout of one caller does not break it
            for the others.
        backoff_s: delay after the first failed attempt to connect, in seconds; it doubles with
            each failure.
        max_backoff_s: maximum of that delay, in seconds.
        rate_limit_backoff_s: delay after the node reported a rate limit, in seconds; it doubles
            with each one.
        max_in_flight: maximum number of concurrent operations.
    """

    connect_s: float = 10.0
    operation_s: float = 30.0
    discard_after_silence_s: float = 1.0
    backoff_s: float = 0.25
    max_backoff_s: float = 10.0
    rate_limit_backoff_s: float = 15.0
    max_in_flight: int = 64


@dataclass(eq=False)
class NodeConnection(Generic[ClientT]):
    """One open connection and the operations that run on it."""

    client: ClientT
    response_count: int = 0
    last_response_at_s: float = 0.0
    is_discarded: bool = False
    tasks: set[asyncio.Task[object]] = field(default_factory=set[asyncio.Task[object]])

    def record_response(self, now_s: float) -> None:
        """Record a response of the node at the loop time `now_s`."""
        self.response_count += 1
        self.last_response_at_s = now_s


class FaultError(Exception):
    """An operation failed with a classified fault; not raised outside this package."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


_TIMED_OUT: Final = Fault(
    ErrorCode.CHAIN_TIMEOUT, Recovery.RECONNECT, "The chain node did not answer in time."
)
_CONNECTION_LOST: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT, "The connection to the chain broke."
)


class ConnectionOwner(Generic[ClientT]):
    """Runs operations on the current connection, and replaces the connection when it fails.

    Attributes:
        opened_count: number of connections opened so far.
        discarded_count: number of connections discarded so far.
    """

    def __init__(
        self,
        make_client: Callable[[], ClientT],
        *,
        role: str,
        endpoint_label: str,
        timeouts: ConnectionTimeouts | None = None,
    ) -> None:
        """Create an owner without a connection; the first operation opens one.

        Args:
            make_client: returns a new client that is not connected yet.
            role: name of the node in error texts, such as "The chain node".
            endpoint_label: network or URL of the node, for the log only.
            timeouts: timeouts and limits.
        """
        self._make_client = make_client
        self._role = role
        self._endpoint_label = endpoint_label
        self._timeouts = timeouts or ConnectionTimeouts()
        self._in_flight_limit = asyncio.Semaphore(self._timeouts.max_in_flight)
        self._current: NodeConnection[ClientT] | None = None
        self._connect_task: asyncio.Task[NodeConnection[ClientT]] | None = None
        self._closing_tasks: set[asyncio.Task[None]] = set()
        self._connect_backoff = Backoff(self._timeouts.backoff_s, self._timeouts.max_backoff_s)
        self._rate_limit_backoff = Backoff(
            self._timeouts.rate_limit_backoff_s, MAX_RETRY_AFTER_S, jitter=False
        )
        self._log_limit = LogLimit()
        self._next_attempt_at_s = 0.0
        self._closed = False
        self._is_wrong_chain = False
        self._replace_count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.opened_count = 0
        self.discarded_count = 0

    async def call(self, operation: Callable[[ClientT], Awaitable[T]], *, timeout_s: float) -> T:
        """Run an operation and return its result.

        The operation is retried once: on the same connection after an invalid response, on a new
        connection if the connection broke.

        Args:
            operation: uses the client; it must be idempotent or guard against the retry itself.
            timeout_s: timeout in seconds, for both attempts together.

        Raises:
            FailureError: CHAIN_TIMEOUT after `timeout_s`; otherwise the code of the fault.
        """
        connection: NodeConnection[ClientT] | None = None
        started_s = _now_s()
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self.connection()
                try:
                    return await self._run(connection, operation)
                except FaultError as first:
                    if first.fault.recovery not in (Recovery.RECONNECT, Recovery.RETRY):
                        raise
                started_s = _now_s()
                connection = await self.connection()
                return await self._run(connection, operation)
        except FaultError as error:
            raise FailureError(error.fault.code, error.fault.detail) from error
        except TimeoutError:
            if connection is not None:
                self._discard_if_silent(connection, waiting_since_s=started_s)
            raise FailureError(
                ErrorCode.CHAIN_TIMEOUT, f"{self._role} did not answer within {timeout_s:g} s."
            ) from None

    async def connection(self) -> NodeConnection[ClientT]:
        """Return the current connection, or open one; concurrent callers share the attempt.

        Raises:
            FailureError: CHAIN_UNAVAILABLE if it cannot be opened, WRONG_CHAIN if the node is of
                another chain. During the backoff after a failed attempt, raised immediately.
        """
        self._loop = asyncio.get_running_loop()
        pause_s = self._next_attempt_at_s - _now_s()
        if self._closed:
            raise FailureError(ErrorCode.SHUTTING_DOWN, f"{self._role}: the connection is closed.")
        if (
            pause_s > 0
            and (self._rate_limit_backoff.attempts or self._current is None)
            and self._connect_task is None
        ):
            if self._is_wrong_chain:
                raise FailureError(ErrorCode.WRONG_CHAIN, WRONG_CHAIN_DETAIL)
            raise FailureError(
                ErrorCode.CHAIN_UNAVAILABLE,
                f"{self._role} {self._unavailable_reason}; the next attempt is in {pause_s:.1f} s.",
            )
        if self._current is not None:
            return self._current
        if self._connect_task is None:
            self._connect_task = asyncio.create_task(
                self._open(), name=f"open {self._endpoint_label}"
            )
            self._connect_task.add_done_callback(self._on_connect_done)
        return await asyncio.shield(self._connect_task)

    def discard(self, connection: NodeConnection[ClientT]) -> None:
        """Close a connection in the background, and fail the operations that still run on it."""
        if connection.is_discarded:
            return
        connection.is_discarded = True
        self.discarded_count += 1
        if self._current is connection:
            self._current = None
        if connection.response_count == 0:
            self._back_off()
        current_task = asyncio.current_task()
        for task in connection.tasks:
            if task is not current_task:
                task.cancel()
        self._close_in_background(connection.client)

    def replace(self) -> None:
        """Discard the current connection, or the one that is being opened, if there is one.

        The next operation opens another.
        """
        self._replace_count += 1
        if self._current is not None:
            self.discard(self._current)

    def replace_threadsafe(self) -> None:
        """Discard the current connection as `replace` does; callable by any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.replace)

    async def close(self, *, timeout_s: float = 3.0) -> None:
        """Close the connection for good; operations that still run on it fail."""
        self._closed = True
        if self._connect_task is not None:
            self._connect_task.cancel()
        self.replace()
        if self._closing_tasks:
            await asyncio.wait(self._closing_tasks, timeout=timeout_s)

    @property
    def _unavailable_reason(self) -> str:
        return (
            "refuses requests for now" if self._rate_limit_backoff.attempts else "cannot be reached"
        )

    async def _open(self) -> NodeConnection[ClientT]:
        client, replace_count = self._make_client(), self._replace_count
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                await client.connect()
        except asyncio.CancelledError:
            self._close_in_background(client)
            if not self._closed:
                raise
            raise FailureError(ErrorCode.SHUTTING_DOWN, f"{self._role}: closing.") from None
        except Exception as error:
            self._close_in_background(client)
            fault = fault_of(error)
            self._back_off(fault)
            self._is_wrong_chain = fault.code is ErrorCode.WRONG_CHAIN
            if self._is_wrong_chain:
                raise FailureError(fault.code, fault.detail) from error
            # Every attempt is logged until the delay has reached its maximum.
            if self._connect_backoff.attempts < MAX_COUNTED_FAILURES or self._log_limit.is_due(
                "connect"
            ):
                logger.warning(
                    "Cannot connect to %s: %s", self._endpoint_label, describe_error(error)
                )
            raise FailureError(
                ErrorCode.CHAIN_UNAVAILABLE, f"{self._role} {self._unavailable_reason}."
            ) from error
        if replace_count != self._replace_count:  # its checks may be outdated
            self._close_in_background(client)
            return await self._open()
        self.opened_count += 1
        self._is_wrong_chain = False
        logger.info("Connected to %s", self._endpoint_label)
        self._current = NodeConnection(client)
        return self._current

    def _on_connect_done(self, task: asyncio.Task[NodeConnection[ClientT]]) -> None:
        self._connect_task = None
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it if no caller is left

    async def _run(
        self, connection: NodeConnection[ClientT], operation: Callable[[ClientT], Awaitable[T]]
    ) -> T:
        await self._in_flight_limit.acquire()
        if connection.is_discarded:  # while this call waited for the limit
            self._in_flight_limit.release()
            raise FaultError(_CONNECTION_LOST)
        task = asyncio.create_task(self._execute(connection, operation))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)
        task.add_done_callback(self._on_operation_done)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            this_task = asyncio.current_task()
            if not task.cancelled() or (this_task is not None and this_task.cancelling()):
                raise
            # The operation was cancelled, by `discard` or inside the SDK, and not the caller.
            raise FaultError(_CONNECTION_LOST) from None

    def _on_operation_done(self, task: asyncio.Task[T]) -> None:
        self._in_flight_limit.release()
        if not task.cancelled():
            task.exception()  # as above

    async def _execute(
        self, connection: NodeConnection[ClientT], operation: Callable[[ClientT], Awaitable[T]]
    ) -> T:
        limit = asyncio.timeout(self._timeouts.operation_s)
        try:
            async with limit:
                result = await operation(connection.client)
        except FailureError:
            connection.record_response(_now_s())
            raise
        except Exception as error:
            fault = _TIMED_OUT if limit.expired() else fault_of(error)
            self._handle_fault(connection, fault, error)
            raise FaultError(fault) from error
        connection.record_response(_now_s())
        self._connect_backoff.reset()
        self._rate_limit_backoff.reset()
        return result

    def _handle_fault(
        self, connection: NodeConnection[ClientT], fault: Fault, error: Exception
    ) -> None:
        if fault.recovery is Recovery.KEEP:
            connection.record_response(_now_s())
            return
        if fault.code is ErrorCode.INTERNAL:
            text = "Unexpected error of the chain SDK"
            UNREADABLE.report(
                logger, "answer", (self._endpoint_label, error_origin(error)), text, error=error
            )
        elif fault.recovery is Recovery.RETRY:
            record = (self._endpoint_label, error_origin(error))
            text = "Reading %s failed: %s"
            UNREADABLE.report(
                logger, "answer", record, text, self._endpoint_label, describe_error(error)
            )
        elif self._log_limit.is_due("read", fault.code, describe_error(error)):
            logger.warning("Reading %s failed: %s", self._endpoint_label, describe_error(error))
        if fault.recovery is Recovery.RETRY:
            connection.record_response(_now_s())
        elif fault.recovery is Recovery.BACK_OFF:
            self._back_off(fault)
        else:
            self.discard(connection)

    def _discard_if_silent(
        self, connection: NodeConnection[ClientT], *, waiting_since_s: float
    ) -> None:
        silent = connection.last_response_at_s < waiting_since_s
        if silent and _now_s() - waiting_since_s >= self._timeouts.discard_after_silence_s:
            if self._log_limit.is_due("silent"):
                logger.warning(
                    "No response from %s; replacing the connection", self._endpoint_label
                )
            self.discard(connection)

    def _back_off(self, fault: Fault | None = None) -> None:
        if fault is not None and fault.recovery is Recovery.BACK_OFF:
            delay_s = max(self._rate_limit_backoff.next_delay_s(), fault.retry_after_s or 0.0)
        else:
            delay_s = self._connect_backoff.next_delay_s()
        self._next_attempt_at_s = _now_s() + delay_s

    def _close_in_background(self, client: ClientT) -> None:
        task = asyncio.create_task(self._close_client(client), name=f"close {self._endpoint_label}")
        self._closing_tasks.add(task)
        task.add_done_callback(self._closing_tasks.discard)

    @staticmethod
    async def _close_client(client: ClientT) -> None:
        for timeout_s in CLOSE_ATTEMPTS_S:
            with contextlib.suppress(Exception):  # a broken connection may fail to close
                async with asyncio.timeout(timeout_s):
                    await client.close()
                return


def _now_s() -> float:
    return asyncio.get_running_loop().time()
