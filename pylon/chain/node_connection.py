"""The one owner of a connection to a chain node: deadlines, replacement, back-off.

Nobody else opens, closes or keeps a connection. Every operation runs in a task of its own, so
that neither a caller that goes away nor one that runs out of time leaves the SDK half way
through something that other callers share.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from pylon.chain.chain_guard import WRONG_CHAIN_DETAIL
from pylon.chain.faults import RETRY_AFTER_MAX_S, Fault, Recovery, describe_error, fault_of
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.log_limit import LogLimit, error_origin

logger = logging.getLogger(__name__)

CLOSE_ATTEMPTS_S: Final = (2.0, 12.0)
"""How long each attempt to close may take. A first one can wait in vain: on Python 3.11, a task
that is cancelled just when it gets what it waits for may go on. The last one is longer than the
WebSocket library's own patience with a silent peer (10 s)."""


MAX_COUNTED_FAILURES: Final = 10
"""Maximum number of failed attempts that are counted: the pauses have their full length then."""


class ChainClient(Protocol):
    """Something that holds one connection."""

    async def connect(self) -> None:
        """Open the connection."""
        ...

    async def close(self) -> None:
        """Close it; whatever still waits on it fails."""
        ...


ClientT = TypeVar("ClientT", bound=ChainClient)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """How long to wait for what, in seconds, and how many operations to have in flight.

    Attributes:
        connect_s: opening a connection, with its first requests.
        operation_s: one operation, even when nobody waits for it any more.
        discard_after_silence_s: a caller must have waited this long in vain before its deadline counts
            against the connection; otherwise a caller in a hurry could break it for all.
        backoff_s: the pause after a first failed attempt to connect; it doubles each time.
        backoff_max_s: the longest such pause.
        rate_limit_backoff_s: the pause after the node refused our traffic; it doubles each time.
        max_in_flight: operations at once.
    """

    connect_s: float = 10.0
    operation_s: float = 30.0
    discard_after_silence_s: float = 1.0
    backoff_s: float = 0.25
    backoff_max_s: float = 10.0
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
        """Note that the node gave a sign of life."""
        self.response_count += 1
        self.last_response_at_s = now_s


class FaultError(Exception):
    """An operation failed; says what that means. Never leaves this package."""

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
    """Runs operations on the current connection, and replaces it when it fails.

    Attributes:
        opened_count: connections opened so far.
        discarded_count: connections thrown away so far.
    """

    def __init__(
        self,
        make_client: Callable[[], ClientT],
        *,
        role: str,
        endpoint_label: str,
        timeouts: ConnectionTimeouts | None = None,
    ) -> None:
        """Own the connections that `make_client` makes; the first one is opened when needed.

        Args:
            make_client: a new client, not connected yet.
            role: what callers are told about, such as "The chain node".
            endpoint_label: where it is, for the log alone.
            timeouts: how long to wait for what.
        """
        self._make_client = make_client
        self._role = role
        self._endpoint_label = endpoint_label
        self._timeouts = timeouts or ConnectionTimeouts()
        self._in_flight_limit = asyncio.Semaphore(self._timeouts.max_in_flight)
        self._current: NodeConnection[ClientT] | None = None
        self._connect_task: asyncio.Task[NodeConnection[ClientT]] | None = None
        self._closing_tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._rate_limits = 0
        self._log_limit = LogLimit()
        self._next_attempt_at_s = 0.0
        self._closed = False
        self._is_wrong_chain = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.opened_count = 0
        self.discarded_count = 0

    async def call(self, operation: Callable[[ClientT], Awaitable[T]], *, timeout_s: float) -> T:
        """The result of a read, asked once more after an answer that cannot be true.

        When the connection breaks, it is asked once more on a fresh one.

        Raises:
            FailureError: CHAIN_TIMEOUT after `timeout_s`; otherwise what the table of faults says.
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
        """The current connection; opens one if there is none, once for all who ask.

        Raises:
            FailureError: CHAIN_UNAVAILABLE when it cannot be opened, WRONG_CHAIN when the node is
                of another chain, at once while the pause after a failed attempt lasts.
        """
        self._loop = asyncio.get_running_loop()
        pause_s = self._next_attempt_at_s - _now_s()
        if self._closed:
            raise FailureError(ErrorCode.SHUTTING_DOWN, f"{self._role}: the connection is closed.")
        if (
            pause_s > 0
            and (self._rate_limits or self._current is None)
            and self._connect_task is None
        ):
            if self._is_wrong_chain:
                raise FailureError(ErrorCode.WRONG_CHAIN, WRONG_CHAIN_DETAIL)
            why = "refuses requests for now" if self._rate_limits else "cannot be reached"
            raise FailureError(
                ErrorCode.CHAIN_UNAVAILABLE,
                f"{self._role} {why}; the next attempt is in {pause_s:.1f} s.",
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
        """Throw a connection away: close it in the background, fail what still runs on it."""
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
        """Throw the current connection away, if there is one; the next use opens another."""
        if self._current is not None:
            self.discard(self._current)

    def replace_threadsafe(self) -> None:
        """Replace the current connection, as `replace` does, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.replace)

    async def close(self, *, timeout_s: float = 3.0) -> None:
        """Close the connection for good; what still runs on it fails."""
        self._closed = True
        if self._connect_task is not None:
            self._connect_task.cancel()
        self.replace()
        if self._closing_tasks:
            await asyncio.wait(self._closing_tasks, timeout=timeout_s)

    async def _open(self) -> NodeConnection[ClientT]:
        client = self._make_client()
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
            # While the pauses grow, each attempt is logged.
            if self._failures < MAX_COUNTED_FAILURES or self._log_limit.is_due("connect"):
                logger.warning(
                    "Cannot connect to %s: %s", self._endpoint_label, describe_error(error)
                )
            why = "refuses requests for now" if self._rate_limits else "cannot be reached"
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, f"{self._role} {why}.") from error
        self.opened_count += 1
        self._is_wrong_chain = False
        logger.info("Connected to %s", self._endpoint_label)
        self._current = NodeConnection(client)
        return self._current

    def _on_connect_done(self, task: asyncio.Task[NodeConnection[ClientT]]) -> None:
        self._connect_task = None
        if not task.cancelled():
            task.exception()  # those who waited have it; with none left it is no one's

    async def _run(
        self, connection: NodeConnection[ClientT], operation: Callable[[ClientT], Awaitable[T]]
    ) -> T:
        await self._in_flight_limit.acquire()
        if connection.is_discarded:  # while this waited for its slot
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
            # Not the caller was cancelled, but the operation, by `discard` or inside the SDK.
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
        self._failures = self._rate_limits = 0
        return result

    def _handle_fault(
        self, connection: NodeConnection[ClientT], fault: Fault, error: Exception
    ) -> None:
        if fault.recovery is Recovery.KEEP:
            connection.record_response(_now_s())
            return
        if fault.code is ErrorCode.INTERNAL:
            text = "Unforeseen error of the chain SDK"
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
                    "The node %s is silent; its connection is replaced", self._endpoint_label
                )
            self.discard(connection)

    def _back_off(self, fault: Fault | None = None) -> None:
        if fault is not None and fault.recovery is Recovery.BACK_OFF:
            pause_s = min(
                self._timeouts.rate_limit_backoff_s * 2**self._rate_limits, RETRY_AFTER_MAX_S
            )
            pause_s = max(pause_s, fault.retry_after_s or 0.0)
            self._rate_limits = min(self._rate_limits + 1, MAX_COUNTED_FAILURES)
        else:
            pause_s = min(
                self._timeouts.backoff_s * 2**self._failures, self._timeouts.backoff_max_s
            )
            pause_s *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
            self._failures = min(self._failures + 1, MAX_COUNTED_FAILURES)
        self._next_attempt_at_s = _now_s() + pause_s

    def _close_in_background(self, client: ClientT) -> None:
        task = asyncio.create_task(self._close_client(client), name=f"close {self._endpoint_label}")
        self._closing_tasks.add(task)
        task.add_done_callback(self._closing_tasks.discard)

    @staticmethod
    async def _close_client(client: ClientT) -> None:
        for timeout_s in CLOSE_ATTEMPTS_S:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(timeout_s):
                    await client.close()
                return


def _now_s() -> float:
    return asyncio.get_running_loop().time()
