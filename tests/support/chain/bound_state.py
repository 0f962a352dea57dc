"""Fakes of the node and of the stored events, for tests that bind state to a chain."""

from collections.abc import Sequence

from pylon.chain.chain_identity import ChainIdentity
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events.stored_events import FeedEvent

OLD, NEW = "0x" + "aa" * 32, "0x" + "bb" * 32
FINNEY, TEST = ChainIdentity("finney", OLD), ChainIdentity("test", NEW)


def hash_of(number: int, chain: str = OLD) -> BlockHash:
    return BlockHash(f"0x{chain[2:4]}{number:062x}")


class ChainNode:
    """A node of a chain with a height; unavailable while `is_away` is set."""

    def __init__(self, genesis: str, height: int) -> None:
        self.its_genesis = genesis
        self.height = height
        self.is_away = False
        self.forked: set[int] = set()

    async def genesis(self) -> str:
        if self.is_away:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")
        return self.its_genesis

    async def block_hashes(self, numbers: Sequence[int]) -> list[BlockHash | None]:
        return [
            None if number > self.height
            else hash_of(number, NEW if number in self.forked else self.its_genesis)
            for number in numbers
        ]  # fmt: skip


class StoredBlocks:
    """The oldest and the newest stored block of the old chain."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    async def __call__(self, subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        assert subject == str(BlockEventSubject())
        if not self.numbers:
            return None
        number = BlockNumber(self.numbers[-1] if after is None else self.numbers[0])
        return FeedEvent(subject, Block(number=number, hash=hash_of(number)), b"")
