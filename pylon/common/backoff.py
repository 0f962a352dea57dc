"""How long to wait before trying again."""

import asyncio
import logging
import random
from typing import Final

_DOUBLINGS_MAX: Final = 16


class Pauses:
    """Growing pauses between attempts: doubled each time up to a bound, spread by chance."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._count = 0

    @property
    def log_level(self) -> int:
        """How loudly to tell of a failure: the first of a row as a warning, the others softly."""
        return logging.DEBUG if self._count else logging.WARNING

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._count = 0

    async def wait(self) -> None:
        """Wait for the next pause."""
        pause_s = min(self._first_s * 2**self._count, self._longest_s)
        self._count = min(self._count + 1, _DOUBLINGS_MAX)
        # Spreads load, guards nothing.
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - see above
