"""Validation of extrinsics, and the execution of their calls."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylon_devnet import pool_errors, system_events
from pylon_devnet.calls import HANDLERS
from pylon_devnet.calls.balance_calls import free_balance, withdraw
from pylon_devnet.calls.call_guards import GUARDS
from pylon_devnet.calls.dispatch import DecodedCall, DispatchContext, DispatchError, ensure
from pylon_devnet.chain_state import Draft, StateReader
from pylon_devnet.codec import Codec
from pylon_devnet.extrinsics import ParsedExtrinsic
from pylon_devnet.runtime.declaration import Declaration
from pylon_devnet.runtime.scale_slicing import Slicer

BASE_FEE_RAO = 100_000
FEE_PER_BYTE_RAO = 100
_BLOCK_HASH_COUNT = 2400
_FEE_PALLETS = ("Balances", "System", "Utility")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AppliedExtrinsic:
    """An included extrinsic and its result.

    Attributes:
        block_number: number of the block.
        index: index in the block.
        hash: hash of the extrinsic as 0x-hex.
        signer: ss58 address of the signer.
        nonce: nonce of the extrinsic.
        call: `Pallet.function`.
        error: `Pallet.Error` or a variant of the chain's DispatchError; None after success.
    """

    block_number: int
    index: int
    hash: str
    signer: str
    nonce: int
    call: str
    error: str | None


class ExtrinsicExecutor:
    """Validates and applies extrinsics.

    Args:
        codec: codec of the runtime.
        declaration: declaration of the runtime.
        genesis_hash: genesis hash of the chain, part of signed payloads.
    """

    def __init__(self, codec: Codec, declaration: Declaration, genesis_hash: bytes) -> None:
        self._codec = codec
        self._slicer = Slicer(declaration)
        self._pallets = {pallet.name: pallet for pallet in declaration.pallets}
        self._genesis_hash = genesis_hash

    def fee(self, call: bytes, length_bytes: int) -> int:
        """Return the fee of a call in rao; many calls are free.

        Args:
            call: SCALE bytes of the call.
            length_bytes: size of the extrinsic.
        """
        pallet = self._decode_call(call).pallet
        if pallet not in _FEE_PALLETS:
            return 0
        return BASE_FEE_RAO + FEE_PER_BYTE_RAO * length_bytes

    def check(
        self,
        extrinsic: ParsedExtrinsic,
        state: StateReader,
        number: int,
        block_hash: Callable[[int], bytes | None],
    ) -> None:
        """Validate an extrinsic for the pool; its nonce may be a future one.

        Args:
            extrinsic: the extrinsic.
            state: newest state.
            number: number of the block that would include it.
            block_hash: returns the hash of a block by its number.

        Raises:
            RpcError: the extrinsic is invalid; code and message are a node's.
        """
        call = self.check_inclusion(extrinsic, state, number, block_hash)
        self._check_call(call, extrinsic.signer, state, number)

    def check_inclusion(
        self,
        extrinsic: ParsedExtrinsic,
        state: StateReader,
        number: int,
        block_hash: Callable[[int], bytes | None],
    ) -> DecodedCall:
        """Validate an extrinsic for inclusion in the block being built; see `check`.

        The checks of the call itself are not repeated: of two extrinsics that compete for one rate
        limit both are included, and the second one fails.

        Raises:
            RpcError: the extrinsic is invalid.
        """
        try:
            call = self._decode_call(extrinsic.call)
        except ValueError as error:
            raise pool_errors.unverifiable(str(error)) from None
        self._check_signature(extrinsic, number, block_hash)
        account = state.get("System", "Account", extrinsic.signer)
        if extrinsic.nonce < account["nonce"]:
            raise pool_errors.stale_nonce()
        if free_balance(state, extrinsic.signer) < self.fee(extrinsic.call, len(extrinsic.raw)):
            raise pool_errors.cannot_pay_fee()
        return call

    def apply(
        self, draft: Draft, index: int, extrinsic: ParsedExtrinsic
    ) -> tuple[list[dict[str, Any]], AppliedExtrinsic]:
        """Execute the call of a validated extrinsic.

        Returns:
            The event records, and the result.
        """
        dispatch = DispatchContext(
            draft=draft,
            signer=extrinsic.signer,
            dispatch_call=self._dispatch_call,
            split_calls=lambda calls: self._slicer.items("RuntimeCall", calls),
            encode_error=self._encode_error,
        )
        account = dict(draft.get("System", "Account", extrinsic.signer))
        account["nonce"] = extrinsic.nonce + 1
        draft.put("System", "Account", extrinsic.signer, account)
        fee = self.fee(extrinsic.call, len(extrinsic.raw))
        if fee:
            withdraw(dispatch, extrinsic.signer, fee)
        error: DispatchError | None = None
        try:
            self._dispatch_call(dispatch, extrinsic.call, extrinsic.signer)
        except DispatchError as failed:
            error = failed
        paid = {"who": extrinsic.signer, "actual_fee": fee, "tip": 0}
        dispatch.emit("TransactionPayment", "TransactionFeePaid", paid)
        info: dict[str, Any] = {
            "dispatch_info": system_events.dispatch_info("Normal", pays=fee > 0)
        }
        if error is None:
            dispatch.emit("System", "ExtrinsicSuccess", info)
        else:
            info["dispatch_error"] = self._encode_error(error)
            dispatch.emit("System", "ExtrinsicFailed", info)
        applied = AppliedExtrinsic(
            block_number=draft.number,
            index=index,
            hash="0x" + extrinsic.hash.hex(),
            signer=extrinsic.signer,
            nonce=extrinsic.nonce,
            call=self._decode_call(extrinsic.call).name,
            error=None if error is None else str(error),
        )
        return [system_events.event_record(index, *event) for event in dispatch.events], applied

    def _check_signature(
        self,
        extrinsic: ParsedExtrinsic,
        number: int,
        block_hash: Callable[[int], bytes | None],
    ) -> None:
        birth = extrinsic.era.birth(number)
        if extrinsic.era.period is not None and number - birth > _BLOCK_HASH_COUNT:
            raise pool_errors.ancient_birth_block()
        birth_hash = block_hash(birth)
        # An expired era is taken for the next one, whose birth block has another hash.
        if birth_hash is None or not extrinsic.is_signed_for(
            self._codec.spec_version, self._genesis_hash, birth_hash
        ):
            raise pool_errors.bad_proof()

    def _check_call(self, call: DecodedCall, signer: str, state: StateReader, number: int) -> None:
        """Run the checks of the chain's transaction extensions."""
        guard = GUARDS.get(call.name)
        reason = guard(state, call, signer, number) if guard is not None else None
        if reason is not None:
            raise pool_errors.custom_error(pool_errors.CUSTOM_CODES[reason])
        if call.name == "Sudo.sudo" and signer != state.get("Sudo", "Key"):
            raise pool_errors.bad_signer()

    def _dispatch_call(self, dispatch: DispatchContext, encoded: bytes, signer: str | None) -> None:
        call = self._decode_call(encoded)
        handler = HANDLERS.get(call.name)
        if handler is None:
            raise DispatchError("CallFiltered", "System")
        event_count, outer_signer = len(dispatch.events), dispatch.signer
        dispatch.signer = signer
        try:
            with dispatch.draft.transaction():
                guard = GUARDS.get(call.name)
                if guard is not None and signer is not None:
                    reason = guard(dispatch.draft, call, signer, dispatch.draft.number)
                    ensure(reason is None, reason or "")
                handler(dispatch, call)
        except DispatchError:
            del dispatch.events[event_count:]
            raise
        except Exception:  # noqa: BLE001 - a mistake in one call must not stop the chain
            _log.exception("%s failed with an unexpected exception", call.name)
            del dispatch.events[event_count:]
            raise DispatchError("Other", None) from None
        finally:
            dispatch.signer = outer_signer

    def _decode_call(self, encoded: bytes) -> DecodedCall:
        decoded = self._codec.decode_call(encoded)
        pallet, function = decoded["call_module"], decoded["call_function"]
        arguments = {argument["name"]: argument["value"] for argument in decoded["call_args"]}
        raw = self._slicer.arguments(pallet, function, encoded)
        return DecodedCall(pallet, function, arguments, raw)

    def _encode_error(self, error: DispatchError) -> Any:
        if error.pallet is None:
            return error.name if error.inner is None else {error.name: error.inner}
        pallet = self._pallets[error.pallet]
        index = next(one.index for one in pallet.errors if one.name == error.name)
        return {"Module": {"index": pallet.index, "error": bytes([index, 0, 0, 0])}}
