"""Limit of the open client connections of a bridge, and eviction when it is reached."""

import logging
import resource
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

logger = logging.getLogger(__name__)

RESERVED_DESCRIPTORS: Final = 64
"""Number of file descriptors reserved for everything except client connections."""
MAX_CONNECTIONS: Final = 16_384
"""Default maximum number of connections, even if the system allows more."""
LOG_INTERVAL_S: Final = 10.0
"""Minimum interval between two log lines about closed connections, in seconds."""
UNLIMITED_DESCRIPTORS: Final = 2**20


class ConnectionStage(StrEnum):
    """The next item that a connection waits for."""

    HEAD = "head"
    """The rest of a request's head, or its first byte on a new connection."""
    BODY = "body"
    """The rest of a request's body."""
    RESPONSE = "response"
    """The response."""
    IDLE = "idle"
    """The next request."""


_EVICTION_ORDER: Final = (ConnectionStage.HEAD, ConnectionStage.IDLE, ConnectionStage.BODY)
"""Stages whose connections may be evicted, in this order; within a stage the oldest first."""


class CloseReason(StrEnum):
    """Reasons for which connections are rejected or closed."""

    LIMIT = "limit"
    """The limit was reached, and all connections waited for a response."""
    MADE_ROOM = "made_room"
    """The limit was reached, and this connection had sent no complete request for longest."""
    HEAD_TIMEOUT = "head_timeout"
    """The headers of a request did not arrive in time."""
    STALLED = "stalled"
    """The client stopped reading a response."""


class Closable(Protocol):
    """A connection that can be evicted."""

    def evict(self) -> None:
        """Close the connection immediately."""
        ...


class ConnectionTracker:
    """Tracks connections by stage, and evicts one when the limit is reached.

    Args:
        limit: maximum number of open connections.
        clock: monotonic time in seconds.

    Attributes:
        closed_by_reason: number of rejected and closed connections by reason.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit: Final = limit
        self.closed_by_reason: Final = Counter[CloseReason]()
        self._clock = clock
        self._stages: dict[Closable, ConnectionStage] = {}
        # Ordered by the time at which they entered the stage.
        self._connections_by_stage: dict[ConnectionStage, dict[Closable, None]] = {
            stage: {} for stage in ConnectionStage
        }
        self._log_after_s = float("-inf")
        self._unlogged = Counter[CloseReason]()

    @property
    def counts_by_stage(self) -> dict[ConnectionStage, int]:
        """Number of connections in each stage."""
        return {stage: len(waiting) for stage, waiting in self._connections_by_stage.items()}

    def add(self, connection: Closable) -> bool:
        """Add a new connection, evicting another if necessary; return False if it is rejected."""
        is_full = len(self._stages) >= self.limit
        if is_full and not self._evict_oldest():
            self.count_closed(CloseReason.LIMIT)
            return False
        self._stages[connection] = ConnectionStage.HEAD
        self._connections_by_stage[ConnectionStage.HEAD][connection] = None
        return True

    def set_stage(self, connection: Closable, stage: ConnectionStage) -> None:
        """Set the stage of a connection, unless it has been removed."""
        if connection in self._stages:
            self.remove(connection)
            self._stages[connection] = stage
            self._connections_by_stage[stage][connection] = None

    def remove(self, connection: Closable) -> None:
        """Remove a connection if it is tracked."""
        stage = self._stages.pop(connection, None)
        if stage is not None:
            del self._connections_by_stage[stage][connection]

    def count_closed(self, reason: CloseReason) -> None:
        """Count a rejected or closed connection; log the counts at most every `LOG_INTERVAL_S`."""
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
    """Return the maximum number of connections of a bridge.

    Raises the process's soft limit of file descriptors to its hard limit first.

    Args:
        configured: value of the setting, capped by the descriptor limit; None for the default.
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
