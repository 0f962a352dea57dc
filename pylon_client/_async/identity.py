"""Reads and writes of an identity: `client.identity`.

`pylon_client._sync.identity` is generated from this module by `scripts/blocking_client.py`.
"""

from pylon_client import responses
from pylon_client._async.identity_writes import AsyncIdentityWrites
from pylon_client._async.shared_reads import AsyncSharedReads
from pylon_client.contract import reads
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import BlockNumber, Hotkey, MechanismId
from pylon_client.transport import OperationCall

_DEFAULT_MECHANISM = MechanismId(0)


class AsyncIdentity(AsyncIdentityWrites, AsyncSharedReads):
    """Reads and writes as the configured identity, on its subnet.

    All methods raise `PylonMisconfigured` if the client has no identity or Pylon does not know it,
    `ValueError` for invalid arguments, and the exceptions of `pylon_client.errors` for failed
    calls, such as `PylonNotFound` for an unknown block. Reads that do not depend on the subnet use
    open access. Collections list unreadable items, with the reason for each, in `skipped`;
    collections of certificates omit them.
    """

    async def get_latest_neurons(self) -> responses.GetNeuronsResponse:
        """Return all neurons of the subnet at the latest block, by hotkey, sorted by uid."""
        return await self._send(OperationCall(reads.LATEST_NEURONS, Scope.IDENTITY))

    async def get_neurons(self, block_number: BlockNumber) -> responses.GetNeuronsResponse:
        """Return all neurons of the subnet at a block, by hotkey, sorted by uid."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.NEURONS_AT, Scope.IDENTITY, params=params))

    async def get_neuron_changes(self, since: BlockNumber) -> responses.GetNeuronChangesResponse:
        """Return the changes of the subnet's neurons from a block up to the latest one.

        Args:
            since: the block of the known neurons.

        Raises:
            PylonNotFound: the block does not exist yet, or the subnet did not exist at it.
        """
        params = reads.ChangesParams(since=since)
        return await self._send(OperationCall(reads.NEURON_CHANGES, Scope.IDENTITY, params=params))

    async def get_recent_neurons(self) -> responses.GetNeuronsResponse:
        """Return all neurons of the subnet as last published, without reading the chain.

        Raises:
            PylonUnavailable: the last published neurons are too old.
        """
        return await self._send(OperationCall(reads.RECENT_NEURONS, Scope.IDENTITY))

    async def get_latest_validators(self) -> responses.GetValidatorsResponse:
        """Return the neurons with a validator permit at the latest block, by descending stake."""
        return await self._send(OperationCall(reads.LATEST_VALIDATORS, Scope.IDENTITY))

    async def get_validators(self, block_number: BlockNumber) -> responses.GetValidatorsResponse:
        """Return the neurons with a validator permit at a block, by descending total stake."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.VALIDATORS_AT, Scope.IDENTITY, params=params))

    async def get_commitments(self) -> responses.GetCommitmentsResponse:
        """Return the commitments of the subnet that are plain data, in hexadecimal, by hotkey."""
        return await self._send(OperationCall(reads.COMMITMENTS, Scope.IDENTITY))

    async def get_commitment(self, hotkey: Hotkey) -> responses.GetCommitmentResponse:
        """Return a hotkey's commitment if it is plain data, with the block of the commitment.

        Raises:
            PylonNotFound: the hotkey has no such commitment.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.COMMITMENT, Scope.IDENTITY, params=params))

    async def get_own_commitment(self) -> responses.GetCommitmentResponse:
        """Return the commitment of the identity's hotkey if it is plain data.

        Raises:
            PylonNotFound: the identity's hotkey has none on the chain.
        """
        return await self._send(OperationCall(reads.OWN_COMMITMENT, Scope.IDENTITY))

    async def get_typed_commitments(self) -> responses.GetTypedCommitmentsResponse:
        """Return all commitments of the subnet, by hotkey: plain data or timelock-encrypted."""
        return await self._send(OperationCall(reads.TYPED_COMMITMENTS, Scope.IDENTITY))

    async def get_typed_commitment(self, hotkey: Hotkey) -> responses.GetTypedCommitmentResponse:
        """Return a hotkey's commitment: plain data or timelock-encrypted.

        Raises:
            PylonNotFound: the hotkey has no such commitment.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(
            OperationCall(reads.TYPED_COMMITMENT, Scope.IDENTITY, params=params)
        )

    async def get_own_typed_commitment(self) -> responses.GetTypedCommitmentResponse:
        """Return the commitment of the identity's hotkey: plain data or timelock-encrypted.

        Raises:
            PylonNotFound: the identity's hotkey has none on the chain.
        """
        return await self._send(OperationCall(reads.OWN_TYPED_COMMITMENT, Scope.IDENTITY))

    async def get_all_revealed_commitments(self) -> responses.GetAllRevealedCommitmentsResponse:
        """Return the revealed commitments of the subnet, by hotkey, oldest first."""
        return await self._send(OperationCall(reads.REVEALED_COMMITMENTS, Scope.IDENTITY))

    async def get_revealed_commitments(
        self, hotkey: Hotkey
    ) -> responses.GetRevealedCommitmentsResponse:
        """Return the revealed commitments of a hotkey, oldest first.

        Raises:
            PylonNotFound: the hotkey has no such commitment.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(
            OperationCall(reads.REVEALED_COMMITMENTS_OF, Scope.IDENTITY, params=params)
        )

    async def get_own_revealed_commitments(self) -> responses.GetRevealedCommitmentsResponse:
        """Return the revealed commitments of the identity's hotkey, oldest first.

        Raises:
            PylonNotFound: the identity's hotkey has none on the chain.
        """
        return await self._send(OperationCall(reads.OWN_REVEALED_COMMITMENTS, Scope.IDENTITY))

    async def get_certificates(self) -> responses.GetCertificatesResponse:
        """Return the public keys that the subnet's neurons registered for TLS, by hotkey."""
        return await self._send(OperationCall(reads.CERTIFICATES, Scope.IDENTITY))

    async def get_certificate(self, hotkey: Hotkey) -> responses.GetCertificateResponse:
        """Return the public key that a hotkey registered for TLS.

        Raises:
            PylonNotFound: the hotkey has not registered a key.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.CERTIFICATE, Scope.IDENTITY, params=params))

    async def get_own_certificate(self) -> responses.GetCertificateResponse:
        """Return the public key that the identity's hotkey registered for TLS.

        Raises:
            PylonNotFound: the identity's hotkey has none on the chain.
        """
        return await self._send(OperationCall(reads.OWN_CERTIFICATE, Scope.IDENTITY))

    async def get_latest_hyperparameters(self) -> responses.GetHyperparametersResponse:
        """Return the subnet's hyperparameters at the latest block, by their names on the chain."""
        return await self._send(OperationCall(reads.LATEST_HYPERPARAMETERS, Scope.IDENTITY))

    async def get_hyperparameters(
        self, block_number: BlockNumber
    ) -> responses.GetHyperparametersResponse:
        """Return the subnet's hyperparameters at a block, by their names on the chain."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(
            OperationCall(reads.HYPERPARAMETERS_AT, Scope.IDENTITY, params=params)
        )

    async def get_latest_price(self) -> responses.GetPriceResponse:
        """Return the price of one alpha of the subnet at the latest block, in rao of TAO."""
        return await self._send(OperationCall(reads.LATEST_PRICE, Scope.IDENTITY))

    async def get_price(self, block_number: BlockNumber) -> responses.GetPriceResponse:
        """Return the price of one alpha of the subnet at a block, in rao of TAO."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.PRICE_AT, Scope.IDENTITY, params=params))

    async def get_latest_evm_associations(self) -> responses.GetLatestEvmAssociationsResponse:
        """Return the EVM addresses that the subnet's neurons have proven to own, by hotkey."""
        return await self._send(OperationCall(reads.EVM_ASSOCIATIONS, Scope.IDENTITY))

    async def get_weights_status(
        self, block_number: BlockNumber, mechanism_id: MechanismId = _DEFAULT_MECHANISM
    ) -> responses.GetWeightsStatusResponse:
        """Return whether the identity's weights were submitted in the epoch of a block."""
        params = reads.WeightsStatusParams(block_number=block_number, mechanism_id=mechanism_id)
        return await self._send(OperationCall(reads.WEIGHTS_STATUS, Scope.IDENTITY, params=params))
