"""What everybody may ask for: `client.open_access`, asynchronous and synchronous alike."""

from pylon_client.contract import operations
from pylon_client.contract.operations import AtBlock, Scope
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.responses import GetLatestBlockInfoResponse, GetNeuronsResponse
from pylon_client.sending import AsyncSend, Send
from pylon_client.transport.base import Call


def latest_block_info() -> Call[GetLatestBlockInfoResponse]:
    """The call for the latest block, which is the chain's and nobody's subnet's."""
    return Call(operations.LATEST_BLOCK, Scope.OPEN)


def _latest_neurons(netuid: NetUid) -> Call[GetNeuronsResponse]:
    return Call(operations.LATEST_NEURONS, Scope.OPEN, netuid)


def _neurons(netuid: NetUid, block_number: BlockNumber) -> Call[GetNeuronsResponse]:
    params = AtBlock(block_number=block_number)
    return Call(operations.NEURONS_AT, Scope.OPEN, netuid, params)


class AsyncOpenAccess:
    """Reads that need no identity.

    Every method raises `ValueError` for an argument that cannot be one, and the exceptions of
    `pylon_client.errors` where there is no answer.
    """

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def get_latest_block_info(self) -> GetLatestBlockInfoResponse:
        """The number, the hash and the timestamp, in seconds, of the latest block."""
        return await self._send(latest_block_info())

    async def get_latest_neurons(self, netuid: NetUid) -> GetNeuronsResponse:
        """All neurons of a subnet at the latest block.

        Raises:
            PylonNotFound: there is no such subnet.
        """
        return await self._send(_latest_neurons(netuid))

    async def get_neurons(self, netuid: NetUid, block_number: BlockNumber) -> GetNeuronsResponse:
        """All neurons of a subnet as they were at a block.

        Raises:
            PylonNotFound: there is no such subnet or block.
        """
        return await self._send(_neurons(netuid, block_number))


class OpenAccess:
    """Reads that need no identity; the same as `AsyncOpenAccess`, and each method waits."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def get_latest_block_info(self) -> GetLatestBlockInfoResponse:
        """The number, the hash and the timestamp, in seconds, of the latest block."""
        return self._send(latest_block_info())

    def get_latest_neurons(self, netuid: NetUid) -> GetNeuronsResponse:
        """All neurons of a subnet at the latest block.

        Raises:
            PylonNotFound: there is no such subnet.
        """
        return self._send(_latest_neurons(netuid))

    def get_neurons(self, netuid: NetUid, block_number: BlockNumber) -> GetNeuronsResponse:
        """All neurons of a subnet as they were at a block.

        Raises:
            PylonNotFound: there is no such subnet or block.
        """
        return self._send(_neurons(netuid, block_number))
