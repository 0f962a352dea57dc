"""What each refusal of a write means: one table, by the chain's own names for its errors.

The SDK gives every error of the chain a name and a semantic code; a name that is listed counts
before its code. No text of an error is matched. It is passed on, shortened, where the chain gives
no name: only its number says then what the chain means.
"""

import re
from collections.abc import Mapping
from typing import Final

from pylon.chain.write_port import Refusal, RefusalKind
from pylon.common.redaction import REDACTOR
from pylon_client.contract.failures import ErrorCode

REASON_MAX_CHARS: Final = 200

_ADDRESS_PATTERN: Final = re.compile(r"\S+://\S+")
_RETRY: Final = Refusal(
    ErrorCode.CHAIN_REJECTED, RefusalKind.RETRY, "The node's pool did not take the extrinsic."
)
_RATE_LIMITED: Final = Refusal(
    ErrorCode.RATE_LIMITED, RefusalKind.RATE_LIMITED, "The chain takes such a write less often."
)
_NO_PERMIT: Final = Refusal(
    ErrorCode.NO_VALIDATOR_PERMIT,
    RefusalKind.NOT_ELIGIBLE,
    "The hotkey has no validator permit on the subnet.",
)
_STAKE_TOO_LOW: Final = Refusal(
    ErrorCode.STAKE_TOO_LOW, RefusalKind.NOT_ELIGIBLE, "The hotkey's stake is too low."
)
_REJECTED: Final = Refusal(
    ErrorCode.CHAIN_REJECTED, RefusalKind.FATAL, "The chain refuses the write."
)

REFUSALS_BY_NAME: Final[Mapping[str, Refusal]] = {
    # The pool's words for a nonce or an era that is over, or a place that is taken.
    "Stale": _RETRY,
    "AncientBirthBlock": _RETRY,
    "Future": _RETRY,
    "PriorityTooLow": _RETRY,
    "ExhaustsResources": _RETRY,
    # Also what is said after a runtime upgrade, or by a node of another genesis: signed anew on
    # a fresh connection it is right again.
    "BadProof": _RETRY,
    "NeuronNoValidatorPermit": _NO_PERMIT,
    "NotEnoughStakeToSetWeights": _STAKE_TOO_LOW,
    "StakeAmountTooLow": _STAKE_TOO_LOW,
    # The chain's one name for both.
    "MechanismDoesNotExist": Refusal(
        ErrorCode.NOT_FOUND,
        RefusalKind.FATAL,
        "The subnet has no such mechanism, or there is no such subnet.",
    ),
    "SpaceLimitExceeded": _RATE_LIMITED,
    "CommitQueueFull": _RATE_LIMITED,
    "TooManyUnrevealedCommits": _RATE_LIMITED,
    # The subnet's setting changed between signing and inclusion: built anew it is right.
    "CommitRevealEnabled": _RETRY,
    "CommitRevealDisabled": _RETRY,
    "IncorrectWeightVersionKey": _RETRY,
}

REFUSALS_BY_CODE: Final[Mapping[str, Refusal]] = {
    "rate_limited": _RATE_LIMITED,
    "too_early": _RATE_LIMITED,
    "not_registered": Refusal(
        ErrorCode.NOT_REGISTERED,
        RefusalKind.NOT_ELIGIBLE,
        "The hotkey is not registered on the subnet.",
    ),
    "not_authorized": Refusal(
        ErrorCode.CHAIN_REJECTED,
        RefusalKind.FATAL,
        "The chain does not let this hotkey write that.",
    ),
    "insufficient_balance": Refusal(
        ErrorCode.STAKE_TOO_LOW,
        RefusalKind.NOT_ELIGIBLE,
        "The hotkey's balance or stake is too low.",
    ),
    "subnet_not_exists": Refusal(
        ErrorCode.NOT_FOUND, RefusalKind.FATAL, "There is no such subnet."
    ),
    "subtoken_disabled": Refusal(
        ErrorCode.CHAIN_REJECTED, RefusalKind.FATAL, "The subnet is not active yet."
    ),
    "invalid_argument": _REJECTED,
    "insufficient_liquidity": _REJECTED,
    "already_exists": _REJECTED,
    "not_found": _REJECTED,
    "disabled": _REJECTED,
    "expired": _RETRY,
    "limit_exceeded": _REJECTED,
    "unit_mismatch": _REJECTED,
    "policy_violation": _REJECTED,
    "internal": _RETRY,
    # Whatever a newer chain says is tried again, as often as the settings allow.
    "unknown": _RETRY,
}


def refusal_of(name: str | None, code: str, reason: str = "") -> Refusal:
    """Return what a refusal means.

    Args:
        name: the chain's name for the error, if it has one.
        code: the SDK's semantic code.
        reason: the text of the SDK or the node, such as `Custom error: 200`.
    """
    found = REFUSALS_BY_NAME.get(name or "") or REFUSALS_BY_CODE.get(code, _RETRY)
    why = name or _sanitize_reason(reason)
    return Refusal(found.code, found.kind, f"{found.detail} ({why})") if why else found


def _sanitize_reason(reason: str) -> str:
    """Return a text on one line, without addresses and secrets, cut to `REASON_MAX_CHARS`."""
    line = REDACTOR.redact_text(_ADDRESS_PATTERN.sub("[address]", " ".join(reason.split())))
    return line if len(line) <= REASON_MAX_CHARS else f"{line[: REASON_MAX_CHARS - 1]}…"
