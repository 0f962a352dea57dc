"""What everybody may ask for: `client.open_access`.

`pylon_client._sync.open_access` is made from this module: see `scripts/blocking_client.py`.
"""

from collections.abc import AsyncGenerator

from pylon_client import responses
from pylon_client.contract import reads
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import BlockNumber, ExtrinsicIndex, Hotkey, NetUid
from pylon_client.requester import STREAM_GIVE_UP_AFTER_S, AsyncOpenStream, AsyncSend
from pylon_client.transport import OperationCall, StreamSpec


class AsyncOpenAccess:
    """Reads that need no identity.

    Every method raises `ValueError` for an argument that cannot be one, and the exceptions of
    `pylon_client.errors` where there is no answer: `PylonNotFound` for a subnet or a block that
    does not exist. A block is read in the state that it left behind. Collections carry what could
    not be read of them in `skipped`, each with its reason; those of certificates leave it out.
    """

    def __init__(self, send: AsyncSend, open_stream: AsyncOpenStream) -> None:
        self._send = send
        self._open_stream = open_stream

    def blocks(
        self, *, after: BlockNumber | None = None, patience_s: float = STREAM_GIVE_UP_AFTER_S
    ) -> AsyncGenerator[responses.GetLatestBlockInfoResponse]:
        """Every block as it comes, each once and in order, whatever breaks meanwhile.

        A break is mended by itself: what came meanwhile follows then. Only after a very long one,
        of more blocks than Pylon keeps (32), are numbers left out; the log tells.

        Args:
            after: the last block that is known already; None begins with the newest one.
            patience_s: for how long to go on without any sign of Pylon: no value comes, and
                nothing of it answers either. The beginning is tried as often as any request.

        Raises:
            PylonUnavailable: no worker is there; at the beginning, or for so long.
            PylonRequestException: the bridge or NATS cannot be reached; the same.
        """
        return self._open_stream(
            StreamSpec(reads.LATEST_BLOCK), after=after, give_up_after_s=patience_s
        )

    def neuron_snapshots(
        self,
        netuid: NetUid,
        *,
        after: BlockNumber | None = None,
        patience_s: float = STREAM_GIVE_UP_AFTER_S,
    ) -> AsyncGenerator[responses.GetNeuronsResponse]:
        """All neurons of a tracked subnet at every block, as it comes, each once and in order.

        A break is mended by itself, as for `blocks`.

        Args:
            netuid: a subnet that Pylon tracks.
            after: the last block that is known already; None begins with the newest one.
            patience_s: for how long to go on without any sign of Pylon, as for `blocks`.

        Raises:
            PylonNotFound: Pylon does not track this subnet.
            PylonUnavailable: no worker is there; at the beginning, or for so long.
            PylonRequestException: the bridge or NATS cannot be reached; the same.
        """
        stream = StreamSpec(reads.LATEST_NEURONS, netuid)
        return self._open_stream(stream, after=after, give_up_after_s=patience_s)

    async def get_latest_block_info(self) -> responses.GetLatestBlockInfoResponse:
        """The number, the hash and the timestamp, in seconds, of the latest block."""
        return await self._send(OperationCall(reads.LATEST_BLOCK, Scope.OPEN))

    async def get_extrinsic(
        self, block_number: BlockNumber, extrinsic_index: ExtrinsicIndex
    ) -> responses.GetExtrinsicResponse:
        """One extrinsic of a block, decoded; they are counted from 0.

        Raises:
            PylonNotFound: there is no such block, or it has no such extrinsic.
        """
        params = reads.ExtrinsicParams(block_number=block_number, extrinsic_index=extrinsic_index)
        return await self._send(OperationCall(reads.EXTRINSIC, Scope.OPEN, params=params))

    async def get_drand_last_stored_round(self) -> responses.GetDrandLastStoredRoundResponse:
        """The number of the last round of drand that the chain has stored."""
        return await self._send(OperationCall(reads.LAST_DRAND_ROUND, Scope.OPEN))

    async def get_identities(self) -> responses.GetIdentitiesResponse:
        """The netuids of the identities that this Pylon is configured for, by their names."""
        return await self._send(OperationCall(reads.IDENTITIES, Scope.OPEN))

    async def get_latest_neurons(self, netuid: NetUid) -> responses.GetNeuronsResponse:
        """All neurons of a subnet at the latest block, by hotkey, in the order of their uids."""
        return await self._send(OperationCall(reads.LATEST_NEURONS, Scope.OPEN, netuid))

    async def get_neurons(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetNeuronsResponse:
        """All neurons of a subnet at a block, by hotkey, in the order of their uids."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.NEURONS_AT, Scope.OPEN, netuid, params))

    async def get_recent_neurons(self, netuid: NetUid) -> responses.GetNeuronsResponse:
        """All neurons of a tracked subnet as they were published last; the chain is not asked.

        Raises:
            PylonNotFound: Pylon does not track this subnet.
            PylonUnavailable: what was published last is too old.
        """
        return await self._send(OperationCall(reads.RECENT_NEURONS, Scope.OPEN, netuid))

    async def get_latest_validators(self, netuid: NetUid) -> responses.GetValidatorsResponse:
        """The neurons with a validator permit at the latest block, the largest stake first."""
        return await self._send(OperationCall(reads.LATEST_VALIDATORS, Scope.OPEN, netuid))

    async def get_validators(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetValidatorsResponse:
        """The neurons with a validator permit at a block, the largest total stake first."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.VALIDATORS_AT, Scope.OPEN, netuid, params))

    async def get_commitments(self, netuid: NetUid) -> responses.GetCommitmentsResponse:
        """The commitments of a subnet that are data, in hexadecimal digits, by hotkey."""
        return await self._send(OperationCall(reads.COMMITMENTS, Scope.OPEN, netuid))

    async def get_commitment(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetCommitmentResponse:
        """A hotkey's commitment that is data, and the block in which it was made.

        Raises:
            PylonNotFound: the hotkey has none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.COMMITMENT, Scope.OPEN, netuid, params))

    async def get_typed_commitments(self, netuid: NetUid) -> responses.GetTypedCommitmentsResponse:
        """All commitments of a subnet, by hotkey: data, or sealed until a round of drand."""
        return await self._send(OperationCall(reads.TYPED_COMMITMENTS, Scope.OPEN, netuid))

    async def get_typed_commitment(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetTypedCommitmentResponse:
        """A hotkey's commitment: data, or sealed until a round of drand.

        Raises:
            PylonNotFound: the hotkey has none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.TYPED_COMMITMENT, Scope.OPEN, netuid, params))

    async def get_all_revealed_commitments(
        self, netuid: NetUid
    ) -> responses.GetAllRevealedCommitmentsResponse:
        """The sealed commitments of a subnet that were opened, by hotkey, the oldest first."""
        return await self._send(OperationCall(reads.REVEALED_COMMITMENTS, Scope.OPEN, netuid))

    async def get_revealed_commitments(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetRevealedCommitmentsResponse:
        """The sealed commitments of a hotkey that were opened, the oldest first.

        Raises:
            PylonNotFound: the hotkey has none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(
            OperationCall(reads.REVEALED_COMMITMENTS_OF, Scope.OPEN, netuid, params)
        )

    async def get_certificates(self, netuid: NetUid) -> responses.GetCertificatesResponse:
        """The public keys that a subnet's neurons announced for TLS, by hotkey."""
        return await self._send(OperationCall(reads.CERTIFICATES, Scope.OPEN, netuid))

    async def get_certificate(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetCertificateResponse:
        """The public key that a hotkey announced for TLS.

        Raises:
            PylonNotFound: the hotkey has announced none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.CERTIFICATE, Scope.OPEN, netuid, params))

    async def get_latest_hyperparameters(
        self, netuid: NetUid
    ) -> responses.GetHyperparametersResponse:
        """A subnet's hyperparameters at the latest block, by the names that the chain gives."""
        return await self._send(OperationCall(reads.LATEST_HYPERPARAMETERS, Scope.OPEN, netuid))

    async def get_hyperparameters(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetHyperparametersResponse:
        """A subnet's hyperparameters at a block, by the names that the chain gives."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.HYPERPARAMETERS_AT, Scope.OPEN, netuid, params))

    async def get_latest_price(self, netuid: NetUid) -> responses.GetPriceResponse:
        """What one alpha of a subnet costs at the latest block, in rao of TAO."""
        return await self._send(OperationCall(reads.LATEST_PRICE, Scope.OPEN, netuid))

    async def get_price(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetPriceResponse:
        """What one alpha of a subnet cost at a block, in rao of TAO."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.PRICE_AT, Scope.OPEN, netuid, params))

    async def get_latest_prices(self) -> responses.GetPricesResponse:
        """What one alpha of each subnet costs at the latest block, in rao of TAO, by netuid."""
        return await self._send(OperationCall(reads.LATEST_PRICES, Scope.OPEN))

    async def get_prices(self, block_number: BlockNumber) -> responses.GetPricesResponse:
        """What one alpha of each subnet cost at a block, in rao of TAO, by netuid."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.PRICES_AT, Scope.OPEN, params=params))

    async def get_latest_evm_associations(
        self, netuid: NetUid
    ) -> responses.GetLatestEvmAssociationsResponse:
        """The EVM addresses that a subnet's neurons have proven to own, by hotkey."""
        return await self._send(OperationCall(reads.EVM_ASSOCIATIONS, Scope.OPEN, netuid))
