"""Composing calls from what the chain's runtime offers."""

import time
from typing import Any, Final, Protocol

import bittensor_core  # pyright: ignore[reportMissingTypeStubs] -- compiled, and without types
from bittensor import calls

from pylon.chain.bounds import block_time_s, timestamp_ms
from pylon.chain.runtime_items import optional_item, require_item
from pylon.chain.sdk_types import SUBTENSOR_PALLET, Sdk
from pylon.chain.write_port import (
    CertificateCall,
    CommitmentCall,
    CommitRevealState,
    TimelockedCommitmentCall,
    WeightsCall,
    WriteCall,
)
from pylon.common.signer import Signer
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import MechanismId, NetUid

_core: Any = bittensor_core


class SdkExtrinsic(Protocol):
    """An extrinsic with its signature, and its hash."""

    data: bytes
    extrinsic_hash: str


class RawWritingSdk(Protocol):
    """What of the SDK's transport is used for writing."""

    async def attach_signature(self, unsigned: Any, signature: bytes) -> SdkExtrinsic:
        """An extrinsic that can be sent."""
        ...

    async def submit_extrinsic(self, extrinsic: Any) -> Any:
        """Send it, without watching what becomes of it."""
        ...

    async def prepare_unsigned(
        self,
        call: Any,
        *,
        address: str,
        crypto_type: int,
        era: dict[str, int],
        nonce: int,
    ) -> Any:
        """A call with all that its signature covers."""
        ...

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        """The `result` of one JSON-RPC request."""
        ...

    async def genesis_hash(self) -> str:
        """The hash of the chain's first block, which every signature covers."""
        ...


class WritingSdk(Sdk, Protocol):
    """What of the SDK is used for writing, with the types that it lacks."""

    async def block_time(self) -> float:
        """Seconds per block."""
        ...

    async def compose(self, call: Any) -> Any:
        """A generated call as bytes."""
        ...

    async def find_extrinsic(self, extrinsic_hash: str, block_hash: str) -> Any:
        """What became of an extrinsic in a block, or None when it is not there."""
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


MAX_CLOCK_LAG_S: Final = 30.0
"""Seconds by which this machine's clock may be behind the newest block where content is sealed."""


async def _require_synchronized_clock(sdk: WritingSdk) -> None:
    """Raise where this machine's clock is behind, by which the drand round of a seal is chosen.

    The content would be opened too early. A clock that is ahead cannot be told from a chain that
    stands still; the content would be opened too late.

    Raises:
        FailureError: MISCONFIGURED.
    """
    newest_ms = timestamp_ms(await sdk.query("Timestamp", "Now", []))
    behind_s = newest_ms / 1000 - time.time()
    if behind_s > MAX_CLOCK_LAG_S:
        raise FailureError(
            ErrorCode.MISCONFIGURED,
            f"The signer's clock is {behind_s:.0f} s behind the chain's: what is sealed now would "
            "be opened too early. Synchronise the clock (NTP).",
        )


async def compose_call(sdk: WritingSdk, call: WriteCall, signer: Signer) -> tuple[Any, int | None]:
    """Return a call as the chain takes it, and the drand round that opens what is sealed in it.

    Raises:
        FailureError: RUNTIME_UNSUPPORTED, naming the call that the runtime lacks; MISCONFIGURED
            where content cannot be sealed by this machine's clock.
    """
    match call:
        case WeightsCall():
            return await _compose_weights(sdk, call, signer)
        case CommitmentCall():
            field: dict[str, Any] = {f"Raw{len(call.data)}": "0x" + call.data.hex()}
            return await _compose_commitment(sdk, call.netuid, field), None
        case TimelockedCommitmentCall():
            await _require_synchronized_clock(sdk)
            # The pallet decrypts the bare ciphertext, whose plaintext every reader takes to be
            # SCALE text; the SDK's `timelock` makes a portable envelope without either.
            encrypted, reveal_round = _core.get_encrypted_commitment(
                call.text, call.blocks_until_reveal, block_time_s(await sdk.block_time())
            )
            content = {"encrypted": "0x" + bytes(encrypted).hex(), "reveal_round": reveal_round}
            sealed_call = await _compose_commitment(
                sdk, call.netuid, {"TimelockEncrypted": content}
            )
            return sealed_call, reveal_round
        case CertificateCall():
            kept = await sdk.query(SUBTENSOR_PALLET, "Axons", [call.netuid, signer.ss58_address])
            axon: dict[str, Any] = kept or {}
            return await _compose(
                sdk,
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
                ),
            ), None


async def _compose_commitment(sdk: WritingSdk, netuid: NetUid, field: dict[str, Any]) -> Any:
    info: Any = {"fields": [field]}
    return await _compose(sdk, calls.Commitments.set_commitment(netuid=netuid, info=info))


async def _compose_weights(
    sdk: WritingSdk, call: WeightsCall, signer: Signer
) -> tuple[Any, int | None]:
    if call.commit_reveal is not None:
        return await _compose_timelocked_weights(sdk, call, call.commit_reveal, signer)
    uids, values = list(call.weights), list(call.weights.values())
    of_mechanism = calls.SubtensorModule.set_mechanism_weights(
        netuid=call.netuid,
        mecid=call.mechanism,
        dests=uids,
        weights=values,
        version_key=call.version_key,
    )
    of_subnet = calls.SubtensorModule.set_weights(
        netuid=call.netuid, dests=uids, weights=values, version_key=call.version_key
    )
    return await _compose_mechanism_call(sdk, call.mechanism, of_mechanism, of_subnet), None


async def _compose_timelocked_weights(
    sdk: WritingSdk, call: WeightsCall, commit_reveal: CommitRevealState, signer: Signer
) -> tuple[Any, int]:
    await _require_synchronized_clock(sdk)
    commit, reveal_round = _core.get_encrypted_commit_v2(
        uids=list(call.weights),
        weights=list(call.weights.values()),
        version_key=call.version_key,
        last_epoch_block=commit_reveal.last_epoch_block,
        pending_epoch_at=commit_reveal.pending_epoch_at,
        subnet_epoch_index=commit_reveal.epoch_index,
        tempo=commit_reveal.tempo,
        blocks_since_last_step=commit_reveal.blocks_since_last_step,
        current_block=commit_reveal.block,
        subnet_reveal_period_epochs=commit_reveal.reveal_period_epochs,
        # Rounds go by the clock, so that fast blocks need fewer of them.
        block_time=block_time_s(await sdk.block_time()),
        hotkey=signer.public_key,
    )
    sealed: dict[str, Any] = {
        "netuid": call.netuid,
        "commit": bytes(commit),
        "reveal_round": reveal_round,
        "commit_reveal_version": commit_reveal.version,
    }
    of_mechanism = calls.SubtensorModule.commit_timelocked_mechanism_weights(
        mecid=call.mechanism, **sealed
    )
    of_subnet = calls.SubtensorModule.commit_timelocked_weights(**sealed)
    composed_call = await _compose_mechanism_call(sdk, call.mechanism, of_mechanism, of_subnet)
    return composed_call, reveal_round


async def _compose_mechanism_call(
    sdk: WritingSdk, mechanism: MechanismId, mechanism_call: Any, subnet_call: Any
) -> Any:
    """Compose the call of a mechanism or, for a runtime without mechanisms, that of the subnet."""
    if mechanism != 0:
        return await _compose(sdk, mechanism_call)
    found = await optional_item(_call_name(mechanism_call), sdk.compose(mechanism_call))
    return await _compose(sdk, subnet_call) if found is None else found


async def _compose(sdk: WritingSdk, call: Any) -> Any:
    return await require_item(_call_name(call), sdk.compose(call))


def _call_name(call: Any) -> str:
    module, function, _ = call
    return f"{module}.{function}"
