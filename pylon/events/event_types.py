"""Events of the event stream: how each kind is built, and where it is published."""

from collections.abc import Iterable
from typing import Protocol

from pylon_client.contract import json_codec
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import NetUid, PublisherId
from pylon_client.events.stored_events import FeedEvent


class EventSink(Protocol):
    """The stream that stores the last events of each subject."""

    async def publish(self, event: FeedEvent) -> None:
        """Return when the stream has stored the event, or had stored it before.

        Raises:
            FailureError: NATS_UNAVAILABLE, when that is unknown; publishing the same event again is
                safe.
        """
        ...

    async def last_block(self, subject: str) -> Block | None:
        """Return the block of a subject's newest event; None if it has no events.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        ...


def block_event(info: BlockInfo, publishers: Iterable[PublisherId] = ()) -> FeedEvent:
    """Return the event of a new block; its body is that of the REST response.

    Args:
        info: the block.
        publishers: the workers that publish the subnets of this block.
    """
    block = Block(number=info.number, hash=info.hash)
    return FeedEvent(
        str(BlockEventSubject()), block, json_codec.encode(info), publishers=tuple(publishers)
    )


def neurons_event(netuid: NetUid, block: Block, body: bytes) -> FeedEvent:
    """Return the event of a subnet's neurons at a block.

    Args:
        netuid: the subnet.
        block: at which the neurons were read.
        body: the encoded neurons, as in the REST response.
    """
    return FeedEvent(str(NeuronsEventSubject(netuid)), block, body)


def message_id(event: FeedEvent) -> str:
    """Return the `Nats-Msg-Id` of an event, by which the stream detects duplicates.

    It is `block-<hash>` or `<netuid>-<hash>`: the same number with another hash is not a duplicate.
    """
    return f"{event.subject.rpartition('.')[2]}-{event.block.hash}"
