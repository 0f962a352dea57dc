"""How long to wait before trying again."""

import asyncio
import logging
import random
from typing import Final

_MAX_DOUBLINGS: Final = 16


class Backoff:
    """Growing pauses between attempts: doubled each time up to a bound, spread by chance."""

    def __init__(self, initial_s: float, max_s: float) -> None:
        self._initial_s = initial_s
        self._max_s = max_s
        self._attempts = 0

    @property
    def log_level(self) -> int:
        """How loudly to tell of a failure: the first of a row as a warning, the others softly."""
        return logging.DEBUG if self._attempts else logging.WARNING

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._attempts = 0

    async def wait(self) -> None:
        """Wait for the next pause."""
        pause_s = min(self._initial_s * 2**self._attempts, self._max_s)
        self._attempts = min(self._attempts + 1, _MAX_DOUBLINGS)
        # Spreads load, guards nothing.
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - see above
