"""The event stream in memory, for unit tests of publishers."""

import asyncio
from collections.abc import Callable

from pylon.events.event_types import message_id
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import FeedEvent
from tests.support.product.eventually import HANGS_AFTER_S

NATS_DOWN = FailureError(ErrorCode.NATS_UNAVAILABLE, "NATS is down.")


class FakeStream:
    """Stores each message id once, in the order of arrival.

    Attributes:
        events: the stored events.
        refusals: number of next publishes that fail and are not stored.
        unanswered: number of next publishes that are stored, but fail with a lost reply.
    """

    def __init__(self) -> None:
        self.events: list[FeedEvent] = []
        self.refusals = 0
        self.unanswered = 0
        self._changed = asyncio.Condition()

    async def publish(self, event: FeedEvent) -> None:
        await asyncio.sleep(0)
        if self.refusals:
            self.refusals -= 1
            raise NATS_DOWN
        if message_id(event) not in {message_id(stored) for stored in self.events}:
            self.events.append(event)
        async with self._changed:
            self._changed.notify_all()
        if self.unanswered:
            self.unanswered -= 1
            raise NATS_DOWN

    async def last_block(self, subject: str) -> Block | None:
        await asyncio.sleep(0)
        if self.refusals:
            self.refusals -= 1
            raise NATS_DOWN
        found = [event.block for event in self.events if event.subject == subject]
        return found[-1] if found else None

    async def stored_event(
        self, subject: str, after: BlockNumber | None = None
    ) -> FeedEvent | None:
        await asyncio.sleep(0)
        found = [event for event in self.events if event.subject == subject]
        if after is None:
            return found[-1] if found else None
        return next((event for event in found if event.block.number > after), None)

    def numbers(self, subject: str) -> list[int]:
        return [event.block.number for event in self.events if event.subject == subject]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(HANGS_AFTER_S), self._changed:
            await self._changed.wait_for(holds)
