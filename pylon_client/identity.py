"""What an identity may ask for: `client.identity`, asynchronous and synchronous alike."""

from pylon_client.contract import operations
from pylon_client.contract.operations import AtBlock, Scope
from pylon_client.contract.types import BlockNumber
from pylon_client.open_access import latest_block_info
from pylon_client.responses import GetLatestBlockInfoResponse, GetNeuronsResponse
from pylon_client.sending import AsyncSend, Send
from pylon_client.transport.base import Call


def _latest_neurons() -> Call[GetNeuronsResponse]:
    return Call(operations.LATEST_NEURONS, Scope.IDENTITY)


def _neurons(block_number: BlockNumber) -> Call[GetNeuronsResponse]:
    params = AtBlock(block_number=block_number)
    return Call(operations.NEURONS_AT, Scope.IDENTITY, params=params)


class AsyncIdentity:
    """Reads and writes as the configured identity, on the subnet that is configured for it.

    Every method raises `PylonMisconfigured` where the client has no identity or Pylon does not
    know it, `ValueError` for an argument that cannot be one, and the exceptions of
    `pylon_client.errors` where there is no answer.
    """

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def get_latest_block_info(self) -> GetLatestBlockInfoResponse:
        """The number, the hash and the timestamp, in seconds, of the latest block.

        It is asked for in open access, since it is not of the identity's subnet.
        """
        return await self._send(latest_block_info())

    async def get_latest_neurons(self) -> GetNeuronsResponse:
        """All neurons of the identity's subnet at the latest block."""
        return await self._send(_latest_neurons())

    async def get_neurons(self, block_number: BlockNumber) -> GetNeuronsResponse:
        """All neurons of the identity's subnet as they were at a block.

        Raises:
            PylonNotFound: there is no such block.
        """
        return await self._send(_neurons(block_number))


class Identity:
    """Reads and writes as the identity; the same as `AsyncIdentity`, and each method waits."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def get_latest_block_info(self) -> GetLatestBlockInfoResponse:
        """The number, the hash and the timestamp, in seconds, of the latest block.

        It is asked for in open access, since it is not of the identity's subnet.
        """
        return self._send(latest_block_info())

    def get_latest_neurons(self) -> GetNeuronsResponse:
        """All neurons of the identity's subnet at the latest block."""
        return self._send(_latest_neurons())

    def get_neurons(self, block_number: BlockNumber) -> GetNeuronsResponse:
        """All neurons of the identity's subnet as they were at a block.

        Raises:
            PylonNotFound: there is no such block.
        """
        return self._send(_neurons(block_number))
