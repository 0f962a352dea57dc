"""Composition of extrinsic calls for the chain's current runtime."""

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
    """A signed extrinsic of the SDK, with its hash."""

    data: bytes
    extrinsic_hash: str


class RawWritingSdk(Protocol):
    """The part of the SDK's transport that is used for writing."""

    async def attach_signature(self, unsigned: Any, signature: bytes) -> SdkExtrinsic:
        """Return a signed extrinsic."""
        ...

    async def submit_extrinsic(self, extrinsic: Any) -> Any:
        """Send an extrinsic without following its status."""
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
        """Return a call with all fields that its signature covers."""
        ...

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        """Return the `result` of one JSON-RPC request."""
        ...

    async def genesis_hash(self) -> str:
        """Return the hash of the chain's first block, which every signature covers."""
        ...


class WritingSdk(Sdk, Protocol):
    """The part of the SDK that is used for writing, with types."""

    async def block_time(self) -> float:
        """Return the block time in seconds."""
        ...

    async def compose(self, call: Any) -> Any:
        """Return the SCALE encoding of a generated call."""
        ...

    async def find_extrinsic(self, extrinsic_hash: str, block_hash: str) -> Any:
        """Return the result of an extrinsic in a block, or None if the block does not hold it."""
        ...

    async def query_batch(
        self,
        module: str,
        storage_function: str,
        param_sets: list[list[Any]],
        block_hash: str | None = None,
    ) -> list[Any]:
        """Return the values of one storage item for several keys."""
        ...


MAX_CLOCK_LAG_S: Final = 30.0
"""Maximum lag of this machine's clock behind the newest block for timelock encryption, seconds."""


async def _require_synchronized_clock(sdk: WritingSdk) -> None:
    """Raise if this machine's clock lags: it determines the drand round of a timelock encryption.

    With a slow clock the content would be revealed too early. A fast clock cannot be distinguished
    from a stalled chain; it would reveal the content too late.

    Raises:
        FailureError: MISCONFIGURED.
    """
    newest_ms = timestamp_ms(await sdk.query("Timestamp", "Now", []))
    behind_s = newest_ms / 1000 - time.time()
    if behind_s > MAX_CLOCK_LAG_S:
        raise FailureError(
            ErrorCode.MISCONFIGURED,
            f"The signer's clock is {behind_s:.0f} s behind the chain's: timelocked content would "
            "be revealed too early. Synchronise the clock (NTP).",
        )


async def compose_call(sdk: WritingSdk, call: WriteCall, signer: Signer) -> tuple[Any, int | None]:
    """Return an encoded call, and the drand round that reveals its timelocked content, if any.

    Raises:
        FailureError: RUNTIME_UNSUPPORTED with the name of the call that the runtime lacks;
            MISCONFIGURED if this machine's clock lags and the content is timelocked.
    """
    match call:
        case WeightsCall():
            return await _compose_weights(sdk, call, signer)
        case CommitmentCall():
            field: dict[str, Any] = {f"Raw{len(call.data)}": "0x" + call.data.hex()}
            return await _compose_commitment(sdk, call.netuid, field), None
        case TimelockedCommitmentCall():
            await _require_synchronized_clock(sdk)
            # The pallet expects the bare ciphertext of SCALE-encoded text. The SDK's `timelock`
            # creates a portable envelope instead.
            encrypted, reveal_round = _core.get_encrypted_commitment(
                call.text, call.blocks_until_reveal, block_time_s(await sdk.block_time())
            )
            content = {"encrypted": "0x" + bytes(encrypted).hex(), "reveal_round": reveal_round}
            timelocked_call = await _compose_commitment(
                sdk, call.netuid, {"TimelockEncrypted": content}
            )
            return timelocked_call, reveal_round
        case CertificateCall():
            stored = await sdk.query(SUBTENSOR_PALLET, "Axons", [call.netuid, signer.ss58_address])
            axon: dict[str, Any] = stored or {}
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
        # Drand rounds follow the clock: with faster blocks, fewer rounds pass until the reveal.
        block_time=block_time_s(await sdk.block_time()),
        hotkey=signer.public_key,
    )
    timelocked: dict[str, Any] = {
        "netuid": call.netuid,
        "commit": bytes(commit),
        "reveal_round": reveal_round,
        "commit_reveal_version": commit_reveal.version,
    }
    of_mechanism = calls.SubtensorModule.commit_timelocked_mechanism_weights(
        mecid=call.mechanism, **timelocked
    )
    of_subnet = calls.SubtensorModule.commit_timelocked_weights(**timelocked)
    composed_call = await _compose_mechanism_call(sdk, call.mechanism, of_mechanism, of_subnet)
    return composed_call, reveal_round


async def _compose_mechanism_call(
    sdk: WritingSdk, mechanism: MechanismId, mechanism_call: Any, subnet_call: Any
) -> Any:
    """Compose the mechanism's call or, on a runtime without mechanisms, the subnet's call."""
    if mechanism != 0:
        return await _compose(sdk, mechanism_call)
    found = await optional_item(_call_name(mechanism_call), sdk.compose(mechanism_call))
    return await _compose(sdk, subnet_call) if found is None else found


async def _compose(sdk: WritingSdk, call: Any) -> Any:
    return await require_item(_call_name(call), sdk.compose(call))


def _call_name(call: Any) -> str:
    module, function, _ = call
    return f"{module}.{function}"
