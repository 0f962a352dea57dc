"""Publishing an event can always be cancelled."""

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pylon.events.event_publisher import EventPublisher
from pylon.events.event_types import neurons_event
from pylon_client.contract.types import NetUid
from tests.support.chain.fake_chain import block_of
from tests.support.product.eventually import HANGS_AFTER_S

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection


class AnsweringNats:
    """Waits for the acknowledgement as the NATS library does; its stream is empty."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def request(self, subject: str, *_: object, **__: object) -> Any:
        if "STREAM.MSG.GET" in subject:
            return SimpleNamespace(data=b'{"error": {"code": 404, "err_code": 10037}}')
        self.asked.set()
        return await asyncio.wait_for(self.answer, HANGS_AFTER_S)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_cancellation_that_comes_with_the_acknowledgement_is_not_lost(
    *, cancelled: bool
) -> None:
    library = AnsweringNats()
    events = EventPublisher(
        cast(
            "NatsConnection",
            SimpleNamespace(is_connected=True, nats=library, max_payload_bytes=1_000),
        )
    )
    event = neurons_event(NetUid(1), block_of(1), b"{}")
    publishing = asyncio.create_task(events.publish(event))
    await library.asked.wait()
    library.answer.set_result(SimpleNamespace(data=b'{"stream": "PYLON_EVENTS", "seq": 1}'))
    if cancelled:
        publishing.cancel()
    await asyncio.wait({publishing}, timeout=HANGS_AFTER_S)
    assert publishing.cancelled() is cancelled
