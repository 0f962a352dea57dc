"""Events of the event stream: how each kind is built, and where it is published."""

from collections.abc import Iterable
from typing import Protocol

from pylon_client.contract import json_codec
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.subjects import (
    BlockEventSubject,
    ChangesEventSubject,
    NeuronsEventSubject,
    parse_subject,
)
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid, PublisherId
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

    async def stored_event(
        self, subject: str, after: BlockNumber | None = None
    ) -> FeedEvent | None:
        """Return the first stored event after a block, or the newest event; None without one.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        ...


def block_event(
    info: BlockInfo, parent_hash: BlockHash, publishers: Iterable[PublisherId] = ()
) -> FeedEvent:
    """Return the event of a new block; its body is that of the REST response.

    Args:
        info: the block.
        parent_hash: the hash of its parent.
        publishers: the workers that publish the subnets of this block.
    """
    block = Block(number=info.number, hash=info.hash)
    return FeedEvent(
        str(BlockEventSubject()),
        block,
        json_codec.encode(info),
        parent_hash=parent_hash,
        publishers=tuple(publishers),
    )


def neurons_event(netuid: NetUid, block: Block, body: bytes) -> FeedEvent:
    """Return the event of a subnet's neurons at a block.

    Args:
        netuid: the subnet.
        block: at which the neurons were read.
        body: the encoded neurons, as in the REST response.
    """
    return FeedEvent(str(NeuronsEventSubject(netuid)), block, body)


def changes_event(netuid: NetUid, block: Block, body: bytes) -> FeedEvent:
    """Return the event of the changes of a subnet's neurons.

    Args:
        netuid: the subnet.
        block: the block of the newer neurons.
        body: the encoded changes, as in the REST response.
    """
    return FeedEvent(str(ChangesEventSubject(netuid)), block, body)


def message_id(event: FeedEvent) -> str:
    """Return the `Nats-Msg-Id` of an event, by which the stream detects duplicates.

    It is `block-<hash>`, `<netuid>-<hash>` or `changes-<netuid>-<hash>`: the same number with
    another hash is not a duplicate.
    """
    is_of_changes = isinstance(parse_subject(event.subject), ChangesEventSubject)
    prefix = "changes-" if is_of_changes else ""
    return f"{prefix}{event.subject.rpartition('.')[2]}-{event.block.hash}"
