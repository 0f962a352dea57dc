"""Replies that the bridge holds."""

from dataclasses import dataclass

from pylon_client.contract import headers
from pylon_client.contract.models import Block
from pylon_client.nats.nats_reply import Reply


@dataclass(frozen=True, slots=True)
class MemoryReply:
    """A read's reply that the bridge holds: replaced as a whole by a newer one.

    Attributes:
        block: the block that was read.
        body: the JSON that a worker published.
    """

    block: Block
    body: bytes

    def as_reply(self) -> Reply:
        """Return it in the form of a worker's reply."""
        return Reply(
            self.body,
            {headers.BLOCK_NUMBER: str(self.block.number), headers.BLOCK_HASH: self.block.hash},
        )
