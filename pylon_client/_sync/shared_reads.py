"""Reads that do not depend on a subnet: methods of `client.open_access` and `client.identity`.

Generated from `pylon_client._async.shared_reads` by `scripts/blocking_client.py`; do not edit.
"""

from pylon_client import responses
from pylon_client.contract import reads
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import BlockNumber, ExtrinsicIndex
from pylon_client.requester import Send
from pylon_client.transport import OperationCall


class SharedReads:
    """Reads of the chain as a whole, which use open access."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def get_latest_block_info(self) -> responses.GetLatestBlockInfoResponse:
        """Return the number, hash and timestamp (Unix seconds) of the latest block."""
        return self._send(OperationCall(reads.LATEST_BLOCK, Scope.OPEN))

    def get_extrinsic(
        self, block_number: BlockNumber, extrinsic_index: ExtrinsicIndex
    ) -> responses.GetExtrinsicResponse:
        """Return one decoded extrinsic of a block.

        Raises:
            PylonNotFound: the block or the extrinsic does not exist.
        """
        params = reads.ExtrinsicParams(block_number=block_number, extrinsic_index=extrinsic_index)
        return self._send(OperationCall(reads.EXTRINSIC, Scope.OPEN, params=params))

    def get_drand_last_stored_round(self) -> responses.GetDrandLastStoredRoundResponse:
        """Return the number of the last drand round that the chain has stored."""
        return self._send(OperationCall(reads.LAST_DRAND_ROUND, Scope.OPEN))

    def get_latest_prices(self) -> responses.GetPricesResponse:
        """Return the prices of one alpha of all subnets at the latest block, in rao, by netuid."""
        return self._send(OperationCall(reads.LATEST_PRICES, Scope.OPEN))

    def get_prices(self, block_number: BlockNumber) -> responses.GetPricesResponse:
        """Return the prices of one alpha of all subnets at a block, in rao, by netuid."""
        params = reads.BlockParams(block_number=block_number)
        return self._send(OperationCall(reads.PRICES_AT, Scope.OPEN, params=params))
