"""Publishing an event can always be cancelled."""

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pylon.events.event_publisher import EventPublisher
from pylon.events.event_types import block_event, neurons_event
from pylon_client.contract import headers
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.types import BlockNumber, NetUid, Timestamp
from pylon_client.events.observed_head import ObservedHead
from tests.support.chain.fake_chain import block_of, hash_of
from tests.support.product.eventually import HANGS_AFTER_S

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection


class AnsweringNats:
    """Waits for the acknowledgement as the NATS library does; its stream is empty."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.sent_headers: dict[str, str] = {}
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def request(self, subject: str, *_: object, **options: Any) -> Any:
        if "STREAM.MSG.GET" in subject:
            return SimpleNamespace(data=b'{"error": {"code": 404, "err_code": 10037}}')
        self.sent_headers = options["headers"]
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


@pytest.mark.parametrize("is_of_block", [False, True])
async def test_the_event_of_a_block_has_its_parent_and_the_head_of_now(
    *, is_of_block: bool
) -> None:
    library = AnsweringNats()
    connection = SimpleNamespace(is_connected=True, nats=library, max_payload_bytes=1_000)
    events = EventPublisher(
        cast("NatsConnection", connection),
        lambda: hash_of(0),
        head=lambda: ObservedHead(BlockNumber(3), 36.0),
    )
    library.answer.set_result(SimpleNamespace(data=b'{"stream": "PYLON_EVENTS", "seq": 1}'))
    info = BlockInfo(number=BlockNumber(2), hash=hash_of(2), timestamp=Timestamp(5))
    await events.publish(
        block_event(info, hash_of(1))
        if is_of_block
        else neurons_event(NetUid(1), block_of(2), b"{}")
    )
    assert library.sent_headers[headers.GENESIS] == hash_of(0)
    expected = (hash_of(1), "3 36000") if is_of_block else (None, None)
    found = library.sent_headers
    assert (found.get(headers.PARENT_HASH), found.get(headers.HEAD)) == expected
