"""Reads without an identity: `client.open_access`.

`pylon_client._sync.open_access` is generated from this module by `scripts/blocking_client.py`.
"""

from collections.abc import AsyncGenerator

from pylon_client import responses
from pylon_client._async.shared_reads import AsyncSharedReads
from pylon_client.contract import reads
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import BlockNumber, Hotkey, NetUid
from pylon_client.requester import (
    STREAM_GIVE_UP_AFTER_S,
    AsyncOpenStream,
    AsyncSend,
    give_up_limit_s,
)
from pylon_client.transport import OperationCall, StreamSpec


class AsyncOpenAccess(AsyncSharedReads):
    """Reads that need no identity.

    All methods raise `ValueError` for invalid arguments, and the exceptions of
    `pylon_client.errors` for failed calls, such as `PylonNotFound` for an unknown subnet or block.
    A read at a block returns the state after that block. Collections list unreadable items, with
    the reason for each, in `skipped`; collections of certificates omit them.
    """

    def __init__(self, send: AsyncSend, open_stream: AsyncOpenStream) -> None:
        super().__init__(send)
        self._open_stream = open_stream

    def blocks(
        self,
        *,
        after: BlockNumber | None = None,
        give_up_after_s: float = STREAM_GIVE_UP_AFTER_S,
        patience_s: float | None = None,
    ) -> AsyncGenerator[responses.GetLatestBlockInfoResponse]:
        """Yield every new block, each once and in order.

        The stream reconnects and resumes after failures. Pylon stores the last 32 blocks: after a
        longer interruption the stream skips the blocks before them and logs a warning.

        Args:
            after: the last known block; None starts with the newest block.
            give_up_after_s: seconds without any response after which the stream raises. The first
                connect has the retries of a request instead.
            patience_s: deprecated name of `give_up_after_s`.

        Raises:
            PylonUnavailable: no worker is running.
            PylonRequestException: the bridge or NATS cannot be reached.
        """
        limit_s = give_up_limit_s(give_up_after_s, patience_s)
        return self._open_stream(
            StreamSpec(reads.LATEST_BLOCK), after=after, give_up_after_s=limit_s
        )

    def neuron_snapshots(
        self,
        netuid: NetUid,
        *,
        after: BlockNumber | None = None,
        give_up_after_s: float = STREAM_GIVE_UP_AFTER_S,
        patience_s: float | None = None,
    ) -> AsyncGenerator[responses.GetNeuronsResponse]:
        """Yield all neurons of a tracked subnet at every new block, each block once and in order.

        The stream reconnects and resumes after failures, as for `blocks`.

        Args:
            netuid: a subnet that Pylon tracks.
            after: the last known block; None starts with the newest snapshot.
            give_up_after_s: seconds without any response after which the stream raises.
            patience_s: deprecated name of `give_up_after_s`.

        Raises:
            PylonNotFound: Pylon does not track this subnet.
            PylonUnavailable: no worker is running.
            PylonRequestException: the bridge or NATS cannot be reached.
        """
        limit_s = give_up_limit_s(give_up_after_s, patience_s)
        stream = StreamSpec(reads.LATEST_NEURONS, netuid)
        return self._open_stream(stream, after=after, give_up_after_s=limit_s)

    def neuron_changes(
        self,
        netuid: NetUid,
        *,
        after: BlockNumber | None = None,
        give_up_after_s: float = STREAM_GIVE_UP_AFTER_S,
    ) -> AsyncGenerator[responses.GetNeuronChangesResponse]:
        """Yield the changes of a tracked subnet's neurons, from one block to the next, in order.

        The stream reconnects and resumes after failures, as for `blocks`. `apply_to` of the changes
        returns the newer neurons. After a gap, `from_block` is newer than the known neurons: call
        `get_neuron_changes` since their block.

        Args:
            netuid: a subnet that Pylon tracks.
            after: the block of the known neurons; None starts with the newest changes.
            give_up_after_s: seconds without any response after which the stream raises.

        Raises:
            PylonNotFound: Pylon does not track this subnet.
            PylonUnavailable: no worker is running.
            PylonRequestException: the bridge or NATS cannot be reached.
        """
        stream = StreamSpec(reads.NEURON_CHANGES, netuid)
        return self._open_stream(stream, after=after, give_up_after_s=give_up_after_s)

    async def get_identities(self) -> responses.GetIdentitiesResponse:
        """Return the configured identities of this Pylon: their netuids by name."""
        return await self._send(OperationCall(reads.IDENTITIES, Scope.OPEN))

    async def get_latest_neurons(self, netuid: NetUid) -> responses.GetNeuronsResponse:
        """Return all neurons of a subnet at the latest block, by hotkey, sorted by uid."""
        return await self._send(OperationCall(reads.LATEST_NEURONS, Scope.OPEN, netuid))

    async def get_neurons(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetNeuronsResponse:
        """Return all neurons of a subnet at a block, by hotkey, sorted by uid."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.NEURONS_AT, Scope.OPEN, netuid, params))

    async def get_neuron_changes(
        self, netuid: NetUid, since: BlockNumber
    ) -> responses.GetNeuronChangesResponse:
        """Return the changes of a subnet's neurons from a block up to the latest one.

        Args:
            netuid: the subnet.
            since: the block of the known neurons.

        Raises:
            PylonNotFound: the block does not exist yet, or the subnet did not exist at it.
        """
        params = reads.ChangesParams(since=since)
        return await self._send(OperationCall(reads.NEURON_CHANGES, Scope.OPEN, netuid, params))

    async def get_recent_neurons(self, netuid: NetUid) -> responses.GetNeuronsResponse:
        """Return all neurons of a tracked subnet as last published, without reading the chain.

        Raises:
            PylonNotFound: Pylon does not track this subnet.
            PylonUnavailable: the last published neurons are too old.
        """
        return await self._send(OperationCall(reads.RECENT_NEURONS, Scope.OPEN, netuid))

    async def get_latest_validators(self, netuid: NetUid) -> responses.GetValidatorsResponse:
        """Return the neurons with a validator permit at the latest block, by descending stake."""
        return await self._send(OperationCall(reads.LATEST_VALIDATORS, Scope.OPEN, netuid))

    async def get_validators(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetValidatorsResponse:
        """Return the neurons with a validator permit at a block, by descending total stake."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.VALIDATORS_AT, Scope.OPEN, netuid, params))

    async def get_commitments(self, netuid: NetUid) -> responses.GetCommitmentsResponse:
        """Return the commitments of a subnet that are plain data, in hexadecimal, by hotkey."""
        return await self._send(OperationCall(reads.COMMITMENTS, Scope.OPEN, netuid))

    async def get_commitment(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetCommitmentResponse:
        """Return a hotkey's commitment if it is plain data, with the block of the commitment.

        Raises:
            PylonNotFound: the hotkey has no such commitment.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.COMMITMENT, Scope.OPEN, netuid, params))

    async def get_typed_commitments(self, netuid: NetUid) -> responses.GetTypedCommitmentsResponse:
        """Return all commitments of a subnet, by hotkey: plain data or timelock-encrypted."""
        return await self._send(OperationCall(reads.TYPED_COMMITMENTS, Scope.OPEN, netuid))

    async def get_typed_commitment(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetTypedCommitmentResponse:
        """Return a hotkey's commitment: plain data or timelock-encrypted.

        Raises:
            PylonNotFound: the hotkey has no such commitment.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.TYPED_COMMITMENT, Scope.OPEN, netuid, params))

    async def get_all_revealed_commitments(
        self, netuid: NetUid
    ) -> responses.GetAllRevealedCommitmentsResponse:
        """Return the revealed commitments of a subnet, by hotkey, oldest first."""
        return await self._send(OperationCall(reads.REVEALED_COMMITMENTS, Scope.OPEN, netuid))

    async def get_revealed_commitments(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetRevealedCommitmentsResponse:
        """Return the revealed commitments of a hotkey, oldest first.

        Raises:
            PylonNotFound: the hotkey has no such commitment.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(
            OperationCall(reads.REVEALED_COMMITMENTS_OF, Scope.OPEN, netuid, params)
        )

    async def get_certificates(self, netuid: NetUid) -> responses.GetCertificatesResponse:
        """Return the public keys that a subnet's neurons registered for TLS, by hotkey."""
        return await self._send(OperationCall(reads.CERTIFICATES, Scope.OPEN, netuid))

    async def get_certificate(
        self, netuid: NetUid, hotkey: Hotkey
    ) -> responses.GetCertificateResponse:
        """Return the public key that a hotkey registered for TLS.

        Raises:
            PylonNotFound: the hotkey has not registered a key.
        """
        params = reads.HotkeyParams(hotkey=hotkey)
        return await self._send(OperationCall(reads.CERTIFICATE, Scope.OPEN, netuid, params))

    async def get_latest_hyperparameters(
        self, netuid: NetUid
    ) -> responses.GetHyperparametersResponse:
        """Return a subnet's hyperparameters at the latest block, by their names on the chain."""
        return await self._send(OperationCall(reads.LATEST_HYPERPARAMETERS, Scope.OPEN, netuid))

    async def get_hyperparameters(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetHyperparametersResponse:
        """Return a subnet's hyperparameters at a block, by their names on the chain."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.HYPERPARAMETERS_AT, Scope.OPEN, netuid, params))

    async def get_latest_price(self, netuid: NetUid) -> responses.GetPriceResponse:
        """Return the price of one alpha of a subnet at the latest block, in rao of TAO."""
        return await self._send(OperationCall(reads.LATEST_PRICE, Scope.OPEN, netuid))

    async def get_price(
        self, netuid: NetUid, block_number: BlockNumber
    ) -> responses.GetPriceResponse:
        """Return the price of one alpha of a subnet at a block, in rao of TAO."""
        params = reads.BlockParams(block_number=block_number)
        return await self._send(OperationCall(reads.PRICE_AT, Scope.OPEN, netuid, params))

    async def get_latest_evm_associations(
        self, netuid: NetUid
    ) -> responses.GetLatestEvmAssociationsResponse:
        """Return the EVM addresses that a subnet's neurons have proven to own, by hotkey."""
        return await self._send(OperationCall(reads.EVM_ASSOCIATIONS, Scope.OPEN, netuid))
