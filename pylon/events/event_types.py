"""What is published for a block, and where it goes."""

from dataclasses import dataclass
from typing import Protocol

from pylon_client.contract import wire
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import NetUid


@dataclass(frozen=True, slots=True)
class Event:
    """One message of the event stream.

    Attributes:
        subject: where it is published.
        block: what it tells of; its number and hash travel in the headers.
        message_id: the same for the same content, so that the stream keeps it once.
        body: exactly the body that REST answers.
    """

    subject: str
    block: Block
    message_id: str
    body: bytes


class EventSink(Protocol):
    """The stream that keeps the last events of each subject."""

    async def publish(self, event: Event) -> None:
        """Return when the stream has stored the event, or had it already.

        Raises:
            FailureError: NATS_UNAVAILABLE, when that is not known; the same event may be
                published again.
        """
        ...

    async def last_block(self, subject: str) -> Block | None:
        """The block of the newest event of a subject; None when there is none.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the stream does not answer.
        """
        ...


def block_event(info: BlockInfo) -> Event:
    """The event of a new block."""
    return Event(
        subject=str(BlockEventSubject()),
        block=Block(number=info.number, hash=info.hash),
        message_id=f"block-{info.hash}",
        body=wire.encode(info),
    )


def neurons_event(netuid: NetUid, block: Block, body: bytes) -> Event:
    """The event of a subnet's neurons at a block, from the encoded neurons."""
    return Event(
        subject=str(NeuronsEventSubject(netuid)),
        block=block,
        message_id=f"{netuid}-{block.hash}",
        body=body,
    )
