"""Exponential backoff with jitter."""

import asyncio
import logging
import random
from typing import Final

_MAX_DOUBLINGS: Final = 16


class Backoff:
    """Delays between retries that double up to a maximum, with jitter.

    Args:
        initial_s: maximum of the first delay, in seconds.
        max_s: maximum of any delay, in seconds.
        jitter: whether a delay is a random value between half its maximum and its maximum.

    Attributes:
        attempts: number of consecutive failures counted so far.
    """

    def __init__(self, initial_s: float, max_s: float, *, jitter: bool = True) -> None:
        self.attempts = 0
        self._initial_s = initial_s
        self._max_s = max_s
        self._jitter = jitter

    @property
    def log_level(self) -> int:
        """Return WARNING for the first failure in a row, DEBUG for the following ones."""
        return logging.DEBUG if self.attempts else logging.WARNING

    def reset(self) -> None:
        """Start again with the initial delay."""
        self.attempts = 0

    def next_delay_s(self) -> float:
        """Count a failure, and return the delay before the next attempt in seconds."""
        delay_s = min(self._initial_s * 2**self.attempts, self._max_s)
        self.attempts = min(self.attempts + 1, _MAX_DOUBLINGS)
        return delay_s * random.uniform(0.5, 1.0) if self._jitter else delay_s  # noqa: S311 -- jitter, not security

    async def wait(self) -> None:
        """Count a failure, and sleep for the next delay."""
        await asyncio.sleep(self.next_delay_s())
