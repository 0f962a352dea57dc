"""How many faults may come before a write is answered, so that a slow machine gets on, too."""

import asyncio
from typing import Final

FAULTS_MAX: Final = 20
"""Faults since the last answer after which the next one waits for an answer."""


class Truce:
    """Holds faults back when too many have come since the last answer."""

    def __init__(self) -> None:
        self._faults = 0
        self._may_strike = asyncio.Event()
        self._may_strike.set()

    def answered(self) -> None:
        """Note that a write was answered."""
        self._faults = 0
        self._may_strike.set()

    async def turn(self) -> None:
        """Return when the next fault may come."""
        await self._may_strike.wait()
        self._faults += 1
        if self._faults >= FAULTS_MAX:
            self._may_strike.clear()
