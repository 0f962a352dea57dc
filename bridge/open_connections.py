"""The open connections of a bridge: how many there may be, and which are closed for others."""

import logging
import resource
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

logger = logging.getLogger(__name__)

RESERVED_DESCRIPTORS: Final = 64
"""File descriptors that are left for everything but connections of callers."""
MAX_CONNECTIONS: Final = 16_384
"""Maximum number of connections when no setting says otherwise, whatever the system allows."""
LOG_INTERVAL_S: Final = 10.0
"""Minimum number of seconds between two log lines about connections that were closed."""
UNLIMITED_DESCRIPTORS: Final = 2**20


class ConnectionStage(StrEnum):
    """What a connection waits for."""

    HEAD = "head"
    """The rest of a request's head, or its first byte on a new connection."""
    BODY = "body"
    """The rest of a request's body."""
    RESPONSE = "response"
    """The response."""
    IDLE = "idle"
    """The next request."""


_EVICTION_ORDER: Final = (ConnectionStage.HEAD, ConnectionStage.IDLE, ConnectionStage.BODY)
"""Which connections are closed for a new one, the longest waiting first; no other are."""


class CloseReason(StrEnum):
    """Why a connection was refused or closed."""

    LIMIT = "limit"
    """There were as many as are allowed, each of which waited for a response."""
    MADE_ROOM = "made_room"
    """There were as many as are allowed, and this one had sent no complete request for longest."""
    HEAD_TIMEOUT = "head_timeout"
    """The head of a request did not arrive in time."""
    STALLED = "stalled"
    """The caller stopped reading a response."""


class Closable(Protocol):
    """A connection as far as it is counted here."""

    def evict(self) -> None:
        """Close at once."""
        ...


class ConnectionTracker:
    """Counts connections by stage, and decides which is closed when there are too many.

    Args:
        limit: maximum number of open connections.
        clock: the time in seconds.

    Attributes:
        closed_by_reason: how many were refused or closed, by reason.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit: Final = limit
        self.closed_by_reason: Final = Counter[CloseReason]()
        self._clock = clock
        self._stages: dict[Closable, ConnectionStage] = {}
        # In the order in which they entered the stage.
        self._connections_by_stage: dict[ConnectionStage, dict[Closable, None]] = {
            stage: {} for stage in ConnectionStage
        }
        self._log_after_s = float("-inf")
        self._unlogged = Counter[CloseReason]()

    @property
    def counts_by_stage(self) -> dict[ConnectionStage, int]:
        """How many connections there are in each stage."""
        return {stage: len(waiting) for stage, waiting in self._connections_by_stage.items()}

    def add(self, connection: Closable) -> bool:
        """Count a new connection, and close another for it if need be; False to refuse it."""
        is_full = len(self._stages) >= self.limit
        if is_full and not self._evict_oldest():
            self.count_closed(CloseReason.LIMIT)
            return False
        self._stages[connection] = ConnectionStage.HEAD
        self._connections_by_stage[ConnectionStage.HEAD][connection] = None
        return True

    def set_stage(self, connection: Closable, stage: ConnectionStage) -> None:
        """Note which stage a connection is in from now on, unless it is being closed."""
        if connection in self._stages:
            self.remove(connection)
            self._stages[connection] = stage
            self._connections_by_stage[stage][connection] = None

    def remove(self, connection: Closable) -> None:
        """Forget a connection, if it was counted."""
        stage = self._stages.pop(connection, None)
        if stage is not None:
            del self._connections_by_stage[stage][connection]

    def count_closed(self, reason: CloseReason) -> None:
        """Count a connection that was refused or closed, and log such from time to time."""
        self.closed_by_reason[reason] += 1
        self._unlogged[reason] += 1
        if reason is CloseReason.STALLED or self._clock() < self._log_after_s:
            return
        self._log_after_s = self._clock() + LOG_INTERVAL_S
        counts = ", ".join(f"{why} {count}" for why, count in sorted(self._unlogged.items()))
        self._unlogged.clear()
        logger.warning(
            "Closed or refused connections: %s; %d of %d are open",
            *(counts, len(self._stages), self.limit),
        )

    def _evict_oldest(self) -> bool:
        for stage in _EVICTION_ORDER:
            longest = next(iter(self._connections_by_stage[stage]), None)
            if longest is not None:
                self.remove(longest)
                longest.evict()
                self.count_closed(CloseReason.MADE_ROOM)
                return True
        return False


def connection_limit(configured: int | None) -> int:
    """Return how many connections a bridge takes.

    The process's soft limit of file descriptors is raised to its hard limit first.

    Args:
        configured: the setting, which cannot exceed what descriptors allow; None takes that.
    """
    allowed = max(_descriptor_limit() - RESERVED_DESCRIPTORS, 1)
    if configured is None:
        return min(allowed, MAX_CONNECTIONS)
    if configured > allowed:
        logger.warning(
            "PYLON_BRIDGE_MAX_CONNECTIONS is %d; the limit of file descriptors allows %d",
            *(configured, allowed),
        )
    return min(configured, allowed)


def _descriptor_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, UNLIMITED_DESCRIPTORS)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard
