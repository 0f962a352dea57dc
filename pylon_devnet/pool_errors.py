"""How the transaction pool says no, in the words and codes of a Substrate node."""

from pylon_devnet.rpc_error import RpcError

_INVALID = 1010


def invalid_transaction(reason: str) -> RpcError:
    """The transaction cannot be included; the reason is in `data`."""
    return RpcError(_INVALID, "Invalid Transaction", reason)


def custom_error(code: int) -> RpcError:
    """Refused by the subtensor extension with its own code (see `CUSTOM_CODES`)."""
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
"""The custom code of each error of the pallet that `guards` find."""


def cannot_pay_fee() -> RpcError:
    """The signer cannot pay the fee."""
    return invalid_transaction("Inability to pay some fees (e.g. account balance too low)")


def stale_nonce() -> RpcError:
    """The nonce was used."""
    return invalid_transaction("Transaction is outdated")


def bad_proof() -> RpcError:
    """The signature is not good for this chain, runtime and era."""
    return invalid_transaction("Transaction has a bad signature")


def ancient_birth_block() -> RpcError:
    """The era began before the blocks whose hashes the chain remembers."""
    return invalid_transaction("Transaction has an ancient birth block")


def bad_signer() -> RpcError:
    """The signer may not sign such a thing."""
    return invalid_transaction("Invalid signing address")


def malformed(reason: str) -> RpcError:
    """The bytes are no extrinsic."""
    return RpcError(1001, f"Extrinsic has invalid format: {reason}")


def unverifiable(reason: str) -> RpcError:
    """The call is none that the runtime knows."""
    return RpcError(1002, f"Verification Error: Runtime error: Execution failed: {reason}")


def already_imported(hash_: bytes) -> RpcError:
    """The pool has this very extrinsic."""
    return RpcError(1013, "Transaction Already Imported", "0x" + hash_.hex())


def priority_too_low(new: int, old: int) -> RpcError:
    """The pool has another extrinsic of this signer and nonce, and it is worth as much."""
    reason = "The transaction has too low priority to replace another transaction already in pool."
    return RpcError(1014, f"Priority is too low: ({new} vs {old})", reason)


def pool_full() -> RpcError:
    """There is no room."""
    return RpcError(1016, "Immediately Dropped", _FULL)


_FULL = "The transaction couldn't enter the pool because of the limit"
