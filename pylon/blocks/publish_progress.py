"""Records whether the publisher publishes the chain's new blocks."""

import asyncio
from collections.abc import Callable


def _loop_time_s() -> float:
    return asyncio.get_running_loop().time()


class PublishProgress:
    """Measures the time in which blocks were due and none was published.

    Time without a due block does not count, and neither does time in which NATS does not store
    events: the publisher is not the cause.

    Attributes:
        published_blocks: number of published blocks.
    """

    def __init__(self, clock_s: Callable[[], float] = _loop_time_s) -> None:
        """Start without a due block.

        Args:
            clock_s: monotonic time, in seconds.
        """
        self.published_blocks = 0
        self._clock_s = clock_s
        self._due_since_s: float | None = None

    @property
    def stalled_s(self) -> float:
        """Return the seconds since a block became due without progress; 0 if none is due."""
        return 0.0 if self._due_since_s is None else self._clock_s() - self._due_since_s

    def mark_due(self) -> None:
        """Record that a block is due."""
        if self._due_since_s is None:
            self._due_since_s = self._clock_s()

    def mark_published(self) -> None:
        """Record that a due block was published or dropped."""
        self.published_blocks += 1
        self.mark_active()

    def mark_active(self) -> None:
        """Record that the publisher makes progress, or waits for NATS."""
        if self._due_since_s is not None:
            self._due_since_s = self._clock_s()

    def mark_idle(self) -> None:
        """Record that no block is due."""
        self._due_since_s = None
