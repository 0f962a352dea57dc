"""Errors of the transaction pool, with the messages and codes of a Substrate node."""

from pylon_devnet.rpc_error import RpcError

_INVALID = 1010


def invalid_transaction(reason: str) -> RpcError:
    """Return the error for an invalid transaction, with the reason as data."""
    return RpcError(_INVALID, "Invalid Transaction", reason)


def custom_error(code: int) -> RpcError:
    """Return the error for a custom code of the subtensor extension (see `CUSTOM_CODES`)."""
    return invalid_transaction(f"Custom error: {code}")


CUSTOM_CODES = {
    "NotEnoughStakeToSetWeights": 1,
    "SettingWeightsTooFast": 6,
    "HotKeyNotRegisteredInNetwork": 10,
    "InvalidIpAddress": 11,
    "ServingRateLimitExceeded": 12,
    "InvalidPort": 13,
    "InvalidRevealRound": 15,
    "InvalidIpType": 255,
}
"""Custom code by error of the pallet that `call_guards` returns."""


def cannot_pay_fee() -> RpcError:
    """Return the error for a signer that cannot pay the fee."""
    return invalid_transaction("Inability to pay some fees (e.g. account balance too low)")


def stale_nonce() -> RpcError:
    """Return the error for a used nonce."""
    return invalid_transaction("Transaction is outdated")


def bad_proof() -> RpcError:
    """Return the error for a signature that is invalid for this chain, runtime and era."""
    return invalid_transaction("Transaction has a bad signature")


def ancient_birth_block() -> RpcError:
    """Return the error for an era that began before the oldest stored block hash."""
    return invalid_transaction("Transaction has an ancient birth block")


def bad_signer() -> RpcError:
    """Return the error for a signer that must not sign this call."""
    return invalid_transaction("Invalid signing address")


def malformed(reason: str) -> RpcError:
    """Return the error for bytes that are not an extrinsic."""
    return RpcError(1001, f"Extrinsic has invalid format: {reason}")


def unverifiable(reason: str) -> RpcError:
    """Return the error for a call that the runtime does not know."""
    return RpcError(1002, f"Verification Error: Runtime error: Execution failed: {reason}")


def already_imported(hash_: bytes) -> RpcError:
    """Return the error for an extrinsic that is in the pool already."""
    return RpcError(1013, "Transaction Already Imported", "0x" + hash_.hex())


def priority_too_low(new: int, old: int) -> RpcError:
    """Return the error for a replacement whose tip is not higher."""
    reason = "The transaction has too low priority to replace another transaction already in pool."
    return RpcError(1014, f"Priority is too low: ({new} vs {old})", reason)


def pool_full() -> RpcError:
    """Return the error for a full pool."""
    return RpcError(1016, "Immediately Dropped", _FULL)


_FULL = "The transaction couldn't enter the pool because of the limit"
