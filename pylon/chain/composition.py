"""Composing calls with the `bittensor` SDK, which imports it beside `subtensor`."""

from typing import Any, Protocol

from bittensor import calls, intents, timelock

from pylon.chain.sdk import SUBTENSOR, Sdk
from pylon.chain.writes import (
    CertificateCall,
    CommitmentCall,
    SealedCommitmentCall,
    Signer,
    WeightsCall,
    WriteCall,
)
from pylon_client.contract.types import NetUid


class SignedExtrinsic(Protocol):
    """An extrinsic with its signature, and its hash."""

    data: bytes
    extrinsic_hash: str


class RawWritingSdk(Protocol):
    """What of the SDK's transport is used for writing."""

    async def attach_signature(self, unsigned: Any, signature: bytes) -> SignedExtrinsic:
        """An extrinsic that can be sent."""
        ...

    async def submit_extrinsic(self, extrinsic: Any) -> Any:
        """Send it, without watching what becomes of it."""
        ...

    async def get_finalized_block_number(self) -> int:
        """The newest final block."""
        ...


class WritingSdk(Sdk, Protocol):
    """What of the SDK is used for writing, with the types that it lacks."""

    async def block_number(self) -> int:
        """The newest block."""
        ...

    async def block_time(self) -> float:
        """Seconds per block."""
        ...

    async def compose(self, call: Any) -> Any:
        """A generated call as bytes."""
        ...

    async def find_extrinsic(self, extrinsic_hash: str, block_hash: str) -> Any:
        """What became of an extrinsic in a block, or None when it is not there."""
        ...

    async def prepare(self, call: Any, *, address: str, crypto_type: int, period: int) -> Any:
        """A call with all that its signature covers."""
        ...

    async def query_batch(
        self,
        module: str,
        storage_function: str,
        param_sets: list[list[Any]],
        block_hash: str | None = None,
    ) -> list[Any]:
        """One storage item for many keys."""
        ...


async def composed(sdk: WritingSdk, call: WriteCall, signer: Signer) -> tuple[Any, int | None]:
    """A call as the chain takes it, and the drand round that opens what is sealed in it.

    Raises:
        bittensor.result.BittensorError: the SDK sees that the chain would not take it.
    """
    match call:
        case WeightsCall():
            intent: Any = intents.SetWeights(
                netuid=call.netuid,
                uids=list(call.weights),
                weights=list(call.weights.values()),
                mechid=call.mechanism,
                version_key=call.version_key,
            )
            built: Any = await intent.build(sdk, signer)
            extras: dict[str, Any] = getattr(built, "extras", {})
            return getattr(built, "call", built), extras.get("reveal_round")
        case CommitmentCall():
            field: dict[str, Any] = {f"Raw{len(call.data)}": "0x" + call.data.hex()}
            return await _commitment(sdk, call.netuid, field), None
        case SealedCommitmentCall():
            after_s = call.blocks_until_reveal * await sdk.block_time()
            sealed = timelock.encrypt(call.text, reveal_in=after_s)
            content = {
                "encrypted": "0x" + sealed.ciphertext.hex(),
                "reveal_round": sealed.reveal_round,
            }
            sealed_call = await _commitment(sdk, call.netuid, {"TimelockEncrypted": content})
            return sealed_call, sealed.reveal_round
        case CertificateCall():
            kept = await sdk.query(SUBTENSOR, "Axons", [call.netuid, signer.ss58_address])
            axon: dict[str, Any] = kept or {}
            return await sdk.compose(
                calls.SubtensorModule.serve_axon_tls(
                    netuid=call.netuid,
                    version=int(axon.get("version", 0)),
                    ip=int(axon.get("ip", 0)),
                    port=int(axon.get("port", 0)) or 1,
                    ip_type=int(axon.get("ip_type", 0)) or 4,
                    protocol=int(axon.get("protocol", 0)),
                    placeholder1=0,
                    placeholder2=0,
                    certificate=bytes([call.algorithm]) + call.public_key,
                )
            ), None


async def _commitment(sdk: WritingSdk, netuid: NetUid, field: dict[str, Any]) -> Any:
    info: Any = {"fields": [field]}
    return await sdk.compose(calls.Commitments.set_commitment(netuid=netuid, info=info))
