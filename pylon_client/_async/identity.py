"""What an identity may ask for: `client.identity`.

`pylon_client._sync.identity` is made from this module: see `scripts/blocking_client.py`.
"""

from pylon_client import responses
from pylon_client._async.identity_writes import AsyncIdentityWrites
from pylon_client.contract import reads
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import BlockNumber, ExtrinsicIndex, Hotkey, MechanismId
from pylon_client.transport import OperationCall

_DEFAULT_MECHANISM = MechanismId(0)


class AsyncIdentity(AsyncIdentityWrites):
    """Reads and writes as the configured identity, on the subnet that is configured for it.

    Every method raises `PylonMisconfigured` where the client has no identity or Pylon does not
    know it, `ValueError` for an argument that cannot be one, and the exceptions of
    `pylon_client.errors` where there is no answer: `PylonNotFound` for a block that does not
    exist. What is not of the identity's subnet is asked for in open access.
    Collections carry what could not be read of them in `skipped`, each with its reason; those of
    certificates leave it out.
    """

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

    async def get_latest_neurons(self) -> responses.GetNeuronsResponse:
        """All neurons of the subnet at the latest block, by hotkey, in the order of their uids."""
        return await self._send(OperationCall(reads.LATEST_NEURONS, Scope.IDENTITY))

    async def get_neurons(self, block_number: BlockNumber) -> responses.GetNeuronsResponse:
        """All neurons of the subnet at a block, by hotkey, in the order of their uids."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.NEURONS_AT, Scope.IDENTITY, params=params))

    async def get_recent_neurons(self) -> responses.GetNeuronsResponse:
        """All neurons of the subnet as they were published last; the chain is not asked.

        Raises:
            PylonUnavailable: what was published last is too old.
        """
        return await self._send(OperationCall(reads.RECENT_NEURONS, Scope.IDENTITY))

    async def get_latest_validators(self) -> responses.GetValidatorsResponse:
        """The neurons with a validator permit at the latest block, the largest stake first."""
        return await self._send(OperationCall(reads.LATEST_VALIDATORS, Scope.IDENTITY))

    async def get_validators(self, block_number: BlockNumber) -> responses.GetValidatorsResponse:
        """The neurons with a validator permit at a block, the largest total stake first."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.VALIDATORS_AT, Scope.IDENTITY, params=params))

    async def get_commitments(self) -> responses.GetCommitmentsResponse:
        """The commitments of the subnet that are data, in hexadecimal digits, by hotkey."""
        return await self._send(OperationCall(reads.COMMITMENTS, Scope.IDENTITY))

    async def get_commitment(self, hotkey: Hotkey) -> responses.GetCommitmentResponse:
        """A hotkey's commitment that is data, and the block in which it was made.

        Raises:
            PylonNotFound: the hotkey has none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.COMMITMENT, Scope.IDENTITY, params=params))

    async def get_own_commitment(self) -> responses.GetCommitmentResponse:
        """The commitment of the identity's own hotkey that is data.

        Raises:
            PylonNotFound: there is none.
        """
        return await self._send(OperationCall(reads.OWN_COMMITMENT, Scope.IDENTITY))

    async def get_typed_commitments(self) -> responses.GetTypedCommitmentsResponse:
        """All commitments of the subnet, by hotkey: data, or sealed until a round of drand."""
        return await self._send(OperationCall(reads.TYPED_COMMITMENTS, Scope.IDENTITY))

    async def get_typed_commitment(self, hotkey: Hotkey) -> responses.GetTypedCommitmentResponse:
        """A hotkey's commitment: data, or sealed until a round of drand.

        Raises:
            PylonNotFound: the hotkey has none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(
            OperationCall(reads.TYPED_COMMITMENT, Scope.IDENTITY, params=params)
        )

    async def get_own_typed_commitment(self) -> responses.GetTypedCommitmentResponse:
        """The commitment of the identity's own hotkey: data, or sealed until a round of drand.

        Raises:
            PylonNotFound: there is none.
        """
        return await self._send(OperationCall(reads.OWN_TYPED_COMMITMENT, Scope.IDENTITY))

    async def get_all_revealed_commitments(self) -> responses.GetAllRevealedCommitmentsResponse:
        """The sealed commitments of the subnet that were opened, by hotkey, the oldest first."""
        return await self._send(OperationCall(reads.REVEALED_COMMITMENTS, Scope.IDENTITY))

    async def get_revealed_commitments(
        self, hotkey: Hotkey
    ) -> responses.GetRevealedCommitmentsResponse:
        """The sealed commitments of a hotkey that were opened, the oldest first.

        Raises:
            PylonNotFound: the hotkey has none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(
            OperationCall(reads.REVEALED_COMMITMENTS_OF, Scope.IDENTITY, params=params)
        )

    async def get_own_revealed_commitments(self) -> responses.GetRevealedCommitmentsResponse:
        """The sealed commitments of the identity's own hotkey that were opened, the oldest first.

        Raises:
            PylonNotFound: there are none.
        """
        return await self._send(OperationCall(reads.OWN_REVEALED_COMMITMENTS, Scope.IDENTITY))

    async def get_certificates(self) -> responses.GetCertificatesResponse:
        """The public keys that the subnet's neurons announced for TLS, by hotkey."""
        return await self._send(OperationCall(reads.CERTIFICATES, Scope.IDENTITY))

    async def get_certificate(self, hotkey: Hotkey) -> responses.GetCertificateResponse:
        """The public key that a hotkey announced for TLS.

        Raises:
            PylonNotFound: the hotkey has announced none.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.CERTIFICATE, Scope.IDENTITY, params=params))

    async def get_own_certificate(self) -> responses.GetCertificateResponse:
        """The public key that the identity's own hotkey announced for TLS.

        Raises:
            PylonNotFound: there is none.
        """
        return await self._send(OperationCall(reads.OWN_CERTIFICATE, Scope.IDENTITY))

    async def get_latest_hyperparameters(self) -> responses.GetHyperparametersResponse:
        """The subnet's hyperparameters at the latest block, by the names that the chain gives."""
        return await self._send(OperationCall(reads.LATEST_HYPERPARAMETERS, Scope.IDENTITY))

    async def get_hyperparameters(
        self, block_number: BlockNumber
    ) -> responses.GetHyperparametersResponse:
        """The subnet's hyperparameters at a block, by the names that the chain gives."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(
            OperationCall(reads.HYPERPARAMETERS_AT, Scope.IDENTITY, params=params)
        )

    async def get_latest_price(self) -> responses.GetPriceResponse:
        """What one alpha of the subnet costs at the latest block, in rao of TAO."""
        return await self._send(OperationCall(reads.LATEST_PRICE, Scope.IDENTITY))

    async def get_price(self, block_number: BlockNumber) -> responses.GetPriceResponse:
        """What one alpha of the subnet cost at a block, in rao of TAO."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.PRICE_AT, Scope.IDENTITY, params=params))

    async def get_latest_prices(self) -> responses.GetPricesResponse:
        """What one alpha of each subnet costs at the latest block, in rao of TAO, by netuid."""
        return await self._send(OperationCall(reads.LATEST_PRICES, Scope.OPEN))

    async def get_prices(self, block_number: BlockNumber) -> responses.GetPricesResponse:
        """What one alpha of each subnet cost at a block, in rao of TAO, by netuid."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.PRICES_AT, Scope.OPEN, params=params))

    async def get_latest_evm_associations(self) -> responses.GetLatestEvmAssociationsResponse:
        """The EVM addresses that the subnet's neurons have proven to own, by hotkey."""
        return await self._send(OperationCall(reads.EVM_ASSOCIATIONS, Scope.IDENTITY))

    async def get_weights_status(
        self, block_number: BlockNumber, mechanism_id: MechanismId = _DEFAULT_MECHANISM
    ) -> responses.GetWeightsStatusResponse:
        """Whether the identity's weights had been submitted in the epoch of a block."""
        params = reads.WeightsStatusParams(block_number=block_number, mechanism_id=mechanism_id)
        return await self._send(OperationCall(reads.WEIGHTS_STATUS, Scope.IDENTITY, params=params))
