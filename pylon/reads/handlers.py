"""What answers each read operation."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pylon.blocks.snapshots import Snapshots
from pylon.messaging.call import Answer, Call
from pylon.reads.reader import ChainReader
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.operations import (
    LATEST_BLOCK,
    LATEST_NEURONS,
    NEURONS_AT,
    AtBlock,
)
from pylon_client.contract.types import NetUid

if TYPE_CHECKING:
    from pylon.messaging.service import Handler

T = TypeVar("T")


class ReadHandlers:
    """Answers from the newest snapshots where there are any, else from the chain.

    Attributes:
        by_operation: the handler of each operation, by its name.
    """

    def __init__(self, snapshots: Snapshots, reader: ChainReader) -> None:
        self._snapshots = snapshots
        self._reader = reader
        self.by_operation: Final[dict[str, Handler]] = {
            LATEST_BLOCK.name: self.latest_block,
            LATEST_NEURONS.name: self.latest_neurons,
            NEURONS_AT.name: self.neurons_at,
        }

    async def latest_block(self, call: Call) -> Answer:
        """The newest block and its timestamp."""
        snapshot = self._snapshots.latest_block()
        if snapshot is not None:
            return Answer(snapshot.body, snapshot.block)
        return await self._asked(self._reader.latest_block_info(timeout_s=call.timeout_s))

    async def latest_neurons(self, call: Call) -> Answer:
        """The neurons of a subnet at the newest block; of a subnet not tracked, read on demand."""
        netuid = _netuid(call)
        snapshot = self._snapshots.latest_neurons(netuid)
        if snapshot is not None:
            return Answer(snapshot.body, snapshot.block)
        newest = self._snapshots.latest_block()
        if newest is not None:
            try:
                return await self._neurons(netuid, newest.block, call)
            except FailureError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
                # Either the subnet does not exist, or the block was reorganised away meanwhile.
        block = await self._asked(self._reader.latest_block(timeout_s=call.timeout_s))
        return await self._neurons(netuid, block, call)

    async def _asked(self, answer: Coroutine[Any, Any, T]) -> T:
        """What the chain answers; when it does not, the failure tells what was last known of it."""
        try:
            return await answer
        except FailureError as error:
            if error.code not in {ErrorCode.CHAIN_UNAVAILABLE, ErrorCode.CHAIN_TIMEOUT}:
                raise
            detail = error.failure.detail + self._snapshots.last_heard()
            raise FailureError(error.code, detail) from error

    async def neurons_at(self, call: Call) -> Answer:
        """The neurons of a subnet as they were after a block."""
        if not isinstance(call.params, AtBlock):
            raise TypeError(f"{call.operation} takes AtBlock, not {type(call.params).__name__}")
        netuid = _netuid(call)
        block = await self._reader.block(call.params.block_number, timeout_s=call.timeout_s)
        return await self._neurons(netuid, block, call)

    async def _neurons(self, netuid: NetUid, block: Block, call: Call) -> Answer:
        body = await self._reader.neurons(netuid, block, timeout_s=call.timeout_s)
        return Answer(body, block)


def _netuid(call: Call) -> NetUid:
    if call.netuid is None:
        raise TypeError(f"{call.operation} is about a subnet")
    return call.netuid
