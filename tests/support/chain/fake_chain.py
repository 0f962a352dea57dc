"""A chain in memory that implements the chain port, for unit tests of the port's users."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.query import Query, ResultT_co
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, SubnetNeurons
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid, Timestamp

if TYPE_CHECKING:
    from pydantic import BaseModel


def hash_of(number: int, fork: int = 0) -> BlockHash:
    return BlockHash(f"0x{fork:032x}{number:032x}")


def block_of(number: int, fork: int = 0) -> Block:
    return Block(number=BlockNumber(number), hash=hash_of(number, fork))


UNAVAILABLE = FailureError(ErrorCode.CHAIN_UNAVAILABLE, "The chain is down.")


class FakeChain:
    """Blocks 0 to `head`; subnets without neurons; a log of every read.

    Attributes:
        head: the newest block.
        keeps: number of newest blocks whose state is available.
        down: raised by every read while it is set.
        failing_netuids: subnets whose neurons cannot be read, and why.
        answers: results of queries; the result of any other query is a subnet without neurons.
        gate: reads of the state wait until it is set.
        reads: how often each thing was read.
        fork: part of every hash; another value changes the hashes, as a reorg does.
    """

    def __init__(self, head: int = 0, *, keeps: int = 10**9) -> None:
        self.head = head
        self.keeps = keeps
        self.down: FailureError | None = None
        self.failing_netuids: dict[NetUid, FailureError] = {}
        self.answers: dict[Query[Any], BaseModel] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads = Counter[object]()
        self.fork = 0
        self.closed = False
        self.announcements: asyncio.Queue[int | FailureError] = asyncio.Queue()

    async def latest_block(self, *, timeout_s: float) -> Block:
        await self._read("latest")
        return block_of(self.head, self.fork)

    async def block(self, number: BlockNumber, *, timeout_s: float) -> Block:
        await self._read(("block", number))
        if number > self.head:
            raise FailureError(ErrorCode.NOT_FOUND, f"Block {number} not found.")
        return block_of(number, self.fork)

    async def timestamp(self, block: Block, *, timeout_s: float) -> Timestamp:
        await self._read(("timestamp", block.number))
        self._check_kept(block)
        return Timestamp(1_700_000_000 + 12 * block.number)

    async def parent_hash(self, block: Block, *, timeout_s: float) -> BlockHash:
        await self._read(("parent", block.number))
        return hash_of(max(block.number - 1, 0), self.fork)

    async def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> ResultT_co:
        is_of_neurons = isinstance(query, Neurons)
        what = ("neurons", query.netuid) if is_of_neurons else (query,)
        await self._read((*what, block.number))
        await self.gate.wait()
        if block.hash != hash_of(block.number, self.fork):
            raise FailureError(ErrorCode.NOT_FOUND, f"Block {block.number} not found.")
        self._check_kept(block)
        if is_of_neurons and (failure := self.failing_netuids.get(query.netuid)) is not None:
            raise failure
        answer = self.answers.get(query)
        return cast("ResultT_co", answer or SubnetNeurons(block=block, neurons={}))

    async def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        await self._read("heads")
        while True:
            announced = await self.announcements.get()
            if isinstance(announced, FailureError):
                raise announced
            self.head = announced
            yield BlockNumber(announced)

    async def close(self) -> None:
        self.closed = True

    async def _read(self, what: object) -> None:
        self.reads[what] += 1
        await asyncio.sleep(0)
        if self.down is not None:
            raise self.down

    def _check_kept(self, block: Block) -> None:
        if block.number <= self.head - self.keeps:
            raise FailureError(ErrorCode.ARCHIVE_REQUIRED, "The state is discarded.")
