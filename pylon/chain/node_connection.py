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

from pylon.chain.chain_guard import FOREIGN_CHAIN
from pylon.chain.faults import RETRY_AFTER_MAX_S, Fault, Remedy, describe, fault_of
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.log_limit import LogLimit, origin_of

logger = logging.getLogger(__name__)

CLOSE_ATTEMPTS_S: Final = (2.0, 12.0)
"""How long each attempt to close may take. A first one can wait in vain: on Python 3.11, a task
that is cancelled just when it gets what it waits for may go on. The last one is longer than the
WebSocket library's own patience with a silent peer (10 s)."""


FAILURES_MAX: Final = 10
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
class Patience:
    """How long to wait for what, in seconds, and how many operations to have in flight.

    Attributes:
        connect_s: opening a connection, with its first requests.
        operation_s: one operation, even when nobody waits for it any more.
        silence_s: a caller must have waited this long in vain before its deadline counts
            against the connection; otherwise a caller in a hurry could break it for all.
        backoff_s: the pause after a first failed attempt to connect; it doubles each time.
        backoff_max_s: the longest such pause.
        refused_s: the pause after the node refused our traffic; it doubles each time.
        max_in_flight: operations at once.
    """

    connect_s: float = 10.0
    operation_s: float = 30.0
    silence_s: float = 1.0
    backoff_s: float = 0.25
    backoff_max_s: float = 10.0
    refused_s: float = 15.0
    max_in_flight: int = 64


@dataclass(eq=False)
class Connection(Generic[ClientT]):
    """One open connection and the operations that run on it."""

    client: ClientT
    answers: int = 0
    answered_at_s: float = 0.0
    discarded: bool = False
    tasks: set[asyncio.Task[object]] = field(default_factory=set[asyncio.Task[object]])

    def answered(self, now_s: float) -> None:
        """Note that the node gave a sign of life."""
        self.answers += 1
        self.answered_at_s = now_s


class FaultError(Exception):
    """An operation failed; says what that means. Never leaves this package."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


_TIMED_OUT: Final = Fault(
    ErrorCode.CHAIN_TIMEOUT, Remedy.REPLACE, "The chain node did not answer in time."
)
_BROKE: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE, Remedy.REPLACE, "The connection to the chain broke."
)


class ConnectionOwner(Generic[ClientT]):
    """Runs operations on the current connection, and replaces it when it fails.

    Attributes:
        opened: connections opened so far.
        discarded: connections thrown away so far.
    """

    def __init__(
        self,
        make_client: Callable[[], ClientT],
        *,
        role: str,
        place: str,
        patience: Patience | None = None,
    ) -> None:
        """Own the connections that `make_client` makes; the first one is opened when needed.

        Args:
            make_client: a new client, not connected yet.
            role: what callers are told about, such as "The chain node".
            place: where it is, for the log alone.
            patience: how long to wait for what.
        """
        self._make_client = make_client
        self._role = role
        self._place = place
        self._patience = patience or Patience()
        self._slots = asyncio.Semaphore(self._patience.max_in_flight)
        self._current: Connection[ClientT] | None = None
        self._opening: asyncio.Task[Connection[ClientT]] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._refusals = 0
        self._log_limit = LogLimit()
        self._not_before_s = 0.0
        self._closed = False
        self._is_foreign = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.opened = 0
        self.discarded = 0

    async def call(self, operation: Callable[[ClientT], Awaitable[T]], *, timeout_s: float) -> T:
        """The result of a read, asked once more after an answer that cannot be true.

        When the connection breaks, it is asked once more on a fresh one.

        Raises:
            FailureError: CHAIN_TIMEOUT after `timeout_s`; otherwise what the table of faults says.
        """
        connection: Connection[ClientT] | None = None
        started_s = _now_s()
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self.connection()
                try:
                    return await self._run(connection, operation)
                except FaultError as first:
                    if first.fault.remedy not in (Remedy.REPLACE, Remedy.ASK_AGAIN):
                        raise
                started_s = _now_s()
                connection = await self.connection()
                return await self._run(connection, operation)
        except FaultError as error:
            raise FailureError(error.fault.code, error.fault.detail) from error
        except TimeoutError:
            if connection is not None:
                self._blame(connection, waiting_since_s=started_s)
            raise FailureError(
                ErrorCode.CHAIN_TIMEOUT, f"{self._role} did not answer within {timeout_s:g} s."
            ) from None

    async def connection(self) -> Connection[ClientT]:
        """The current connection; opens one if there is none, once for all who ask.

        Raises:
            FailureError: CHAIN_UNAVAILABLE when it cannot be opened, WRONG_CHAIN when the node is
                of another chain, at once while the pause after a failed attempt lasts.
        """
        self._loop = asyncio.get_running_loop()
        pause_s = self._not_before_s - _now_s()
        if self._closed:
            raise FailureError(ErrorCode.SHUTTING_DOWN, f"{self._role}: the connection is closed.")
        if pause_s > 0 and (self._refusals or self._current is None) and self._opening is None:
            if self._is_foreign:
                raise FailureError(ErrorCode.WRONG_CHAIN, FOREIGN_CHAIN)
            why = "refuses requests for now" if self._refusals else "cannot be reached"
            raise FailureError(
                ErrorCode.CHAIN_UNAVAILABLE,
                f"{self._role} {why}; the next attempt is in {pause_s:.1f} s.",
            )
        if self._current is not None:
            return self._current
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name=f"open {self._place}")
            self._opening.add_done_callback(self._open_ended)
        return await asyncio.shield(self._opening)

    def discard(self, connection: Connection[ClientT]) -> None:
        """Throw a connection away: close it in the background, fail what still runs on it."""
        if connection.discarded:
            return
        connection.discarded = True
        self.discarded += 1
        if self._current is connection:
            self._current = None
        if connection.answers == 0:
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

    def replace_soon(self) -> None:
        """Replace the current connection, as `replace` does, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.replace)

    async def close(self, *, timeout_s: float = 3.0) -> None:
        """Close the connection for good; what still runs on it fails."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        self.replace()
        if self._background:
            await asyncio.wait(self._background, timeout=timeout_s)

    async def _open(self) -> Connection[ClientT]:
        client = self._make_client()
        try:
            async with asyncio.timeout(self._patience.connect_s):
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
            self._is_foreign = fault.code is ErrorCode.WRONG_CHAIN
            if self._is_foreign:
                raise FailureError(fault.code, fault.detail) from error
            # While the pauses grow, each attempt is logged.
            if self._failures < FAILURES_MAX or self._log_limit.is_due("connect"):
                logger.warning("Cannot connect to %s: %s", self._place, describe(error))
            why = "refuses requests for now" if self._refusals else "cannot be reached"
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, f"{self._role} {why}.") from error
        self.opened += 1
        self._is_foreign = False
        logger.info("Connected to %s", self._place)
        self._current = Connection(client)
        return self._current

    def _open_ended(self, task: asyncio.Task[Connection[ClientT]]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # those who waited have it; with none left it is no one's

    async def _run(
        self, connection: Connection[ClientT], operation: Callable[[ClientT], Awaitable[T]]
    ) -> T:
        await self._slots.acquire()
        if connection.discarded:  # while this waited for its slot
            self._slots.release()
            raise FaultError(_BROKE)
        task = asyncio.create_task(self._operate(connection, operation))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)
        task.add_done_callback(self._operation_ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            this_task = asyncio.current_task()
            if not task.cancelled() or (this_task is not None and this_task.cancelling()):
                raise
            # Not the caller was cancelled, but the operation, by `discard` or inside the SDK.
            raise FaultError(_BROKE) from None

    def _operation_ended(self, task: asyncio.Task[T]) -> None:
        self._slots.release()
        if not task.cancelled():
            task.exception()  # as above

    async def _operate(
        self, connection: Connection[ClientT], operation: Callable[[ClientT], Awaitable[T]]
    ) -> T:
        limit = asyncio.timeout(self._patience.operation_s)
        try:
            async with limit:
                result = await operation(connection.client)
        except FailureError:
            connection.answered(_now_s())
            raise
        except Exception as error:
            fault = _TIMED_OUT if limit.expired() else fault_of(error)
            self._learn(connection, fault, error)
            raise FaultError(fault) from error
        connection.answered(_now_s())
        self._failures = self._refusals = 0
        return result

    def _learn(self, connection: Connection[ClientT], fault: Fault, error: Exception) -> None:
        if fault.remedy is Remedy.KEEP:
            connection.answered(_now_s())
            return
        if fault.code is ErrorCode.INTERNAL:
            text = "Unforeseen error of the chain SDK"
            UNREADABLE.note(logger, "answer", (self._place, origin_of(error)), text, error=error)
        elif fault.remedy is Remedy.ASK_AGAIN:
            record = (self._place, origin_of(error))
            text = "Reading %s failed: %s"
            UNREADABLE.note(logger, "answer", record, text, self._place, describe(error))
        elif self._log_limit.is_due("read", fault.code, describe(error)):
            logger.warning("Reading %s failed: %s", self._place, describe(error))
        if fault.remedy is Remedy.ASK_AGAIN:
            connection.answered(_now_s())
        elif fault.remedy is Remedy.COOL_DOWN:
            self._back_off(fault)
        else:
            self.discard(connection)

    def _blame(self, connection: Connection[ClientT], *, waiting_since_s: float) -> None:
        silent = connection.answered_at_s < waiting_since_s
        if silent and _now_s() - waiting_since_s >= self._patience.silence_s:
            if self._log_limit.is_due("silent"):
                logger.warning("The node %s is silent; its connection is replaced", self._place)
            self.discard(connection)

    def _back_off(self, fault: Fault | None = None) -> None:
        if fault is not None and fault.remedy is Remedy.COOL_DOWN:
            pause_s = min(self._patience.refused_s * 2**self._refusals, RETRY_AFTER_MAX_S)
            pause_s = max(pause_s, fault.retry_after_s or 0.0)
            self._refusals = min(self._refusals + 1, FAILURES_MAX)
        else:
            pause_s = min(
                self._patience.backoff_s * 2**self._failures, self._patience.backoff_max_s
            )
            pause_s *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
            self._failures = min(self._failures + 1, FAILURES_MAX)
        self._not_before_s = _now_s() + pause_s

    def _close_in_background(self, client: ClientT) -> None:
        task = asyncio.create_task(self._close_client(client), name=f"close {self._place}")
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    @staticmethod
    async def _close_client(client: ClientT) -> None:
        for timeout_s in CLOSE_ATTEMPTS_S:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(timeout_s):
                    await client.close()
                return


def _now_s() -> float:
    return asyncio.get_running_loop().time()
