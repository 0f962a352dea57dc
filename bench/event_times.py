"""Arrivals of a network's events at one subscriber."""

import asyncio
import time
from collections import defaultdict
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.nats_client import subscribe
from pylon_client.contract import headers
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS, BLOCK_EVENTS

PUBLISHED_WITHIN_S: Final = 90.0
"""Seconds after which a block counts as not published."""


class EventTimes:
    """Arrivals of events at a subscriber, by block.

    Attributes:
        block_s: time of the block event.
        neurons_s: times of the snapshots.
        bytes: bytes of the snapshots.
    """

    def __init__(self) -> None:
        self.block_s: dict[int, float] = {}
        self.neurons_s: defaultdict[int, list[float]] = defaultdict(list)
        self.bytes: defaultdict[int, int] = defaultdict(int)
        self._changed = asyncio.Event()

    async def follow(self, client: Client) -> None:
        """Subscribe to all events."""
        await subscribe(client, BLOCK_EVENTS, self._note_block)
        await subscribe(client, ALL_NEURONS_EVENTS, self._note_neurons)

    async def is_published(self, number: int, subnets: int) -> None:
        """Wait until a block and the snapshots of all subnets have arrived."""
        async with asyncio.timeout(PUBLISHED_WITHIN_S):
            while number not in self.block_s or len(self.neurons_s[number]) < subnets:
                self._changed.clear()
                await self._changed.wait()

    async def _note_block(self, message: Msg) -> None:
        self.block_s[_number_of(message)] = time.perf_counter()
        self._changed.set()

    async def _note_neurons(self, message: Msg) -> None:
        number = _number_of(message)
        self.neurons_s[number].append(time.perf_counter())
        self.bytes[number] += len(message.data)
        self._changed.set()


def _number_of(message: Msg) -> int:
    return int((message.headers or {})[headers.BLOCK_NUMBER])
