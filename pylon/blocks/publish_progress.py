"""Whether the publisher publishes the blocks that the chain makes."""

import asyncio
from collections.abc import Callable


def _loop_time_s() -> float:
    return asyncio.get_running_loop().time()


class PublishProgress:
    """How long blocks have been due without one being published.

    Time without a due block does not count, and neither does time in which NATS takes no event:
    both are no fault of the publisher's.

    Attributes:
        published_blocks: how many blocks were published.
    """

    def __init__(self, clock_s: Callable[[], float] = _loop_time_s) -> None:
        """Start without a due block.

        Args:
            clock_s: a clock that never goes back.
        """
        self.published_blocks = 0
        self._clock_s = clock_s
        self._due_since_s: float | None = None

    @property
    def stalled_s(self) -> float:
        """Return for how long blocks have been due without any progress, in seconds."""
        return 0.0 if self._due_since_s is None else self._clock_s() - self._due_since_s

    def mark_due(self) -> None:
        """Note that a block is to be published."""
        if self._due_since_s is None:
            self._due_since_s = self._clock_s()

    def mark_published(self) -> None:
        """Note that a due block was published, or left out for good."""
        self.published_blocks += 1
        self.mark_active()

    def mark_active(self) -> None:
        """Note that the publisher works, or that only NATS holds it up."""
        if self._due_since_s is not None:
            self._due_since_s = self._clock_s()

    def mark_idle(self) -> None:
        """Note that no block is due."""
        self._due_since_s = None
