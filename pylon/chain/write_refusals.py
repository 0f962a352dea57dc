"""Classification of refused writes, by the chain's names for its errors.

The SDK assigns a name and a semantic code to every error of the chain. A listed name has precedence
over the code. No error text is matched. If the error has no name, its shortened text is passed on,
since it contains the error's number.
"""

import re
from collections.abc import Mapping
from typing import Final

from pylon.chain.write_port import Refusal, RefusalKind
from pylon.common.redaction import REDACTOR
from pylon_client.contract.failures import ErrorCode

MAX_REASON_CHARS: Final = 200

_ADDRESS_PATTERN: Final = re.compile(r"\S+://\S+")
_RETRY: Final = Refusal(
    ErrorCode.CHAIN_REJECTED, RefusalKind.RETRY, "The node's pool did not accept the extrinsic."
)
_RATE_LIMITED: Final = Refusal(
    ErrorCode.RATE_LIMITED, RefusalKind.RATE_LIMITED, "The chain limits the rate of such writes."
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
    # Errors of the pool: an outdated nonce, an expired era, or a full pool.
    "Stale": _RETRY,
    "AncientBirthBlock": _RETRY,
    "Future": _RETRY,
    "PriorityTooLow": _RETRY,
    "ExhaustsResources": _RETRY,
    # Also after a runtime upgrade, or from a node with another genesis: a new signature on a new
    # connection is valid.
    "BadProof": _RETRY,
    "NeuronNoValidatorPermit": _NO_PERMIT,
    "NotEnoughStakeToSetWeights": _STAKE_TOO_LOW,
    "StakeAmountTooLow": _STAKE_TOO_LOW,
    # The chain uses one name for both cases.
    "MechanismDoesNotExist": Refusal(
        ErrorCode.NOT_FOUND,
        RefusalKind.FATAL,
        "The mechanism or the subnet does not exist.",
    ),
    "SpaceLimitExceeded": _RATE_LIMITED,
    "CommitQueueFull": _RATE_LIMITED,
    "TooManyUnrevealedCommits": _RATE_LIMITED,
    # The subnet's setting changed between signing and inclusion: a new call is valid.
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
        ErrorCode.NOT_FOUND, RefusalKind.FATAL, "The subnet does not exist."
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
    # Errors of newer runtimes are retried, up to the configured number of attempts.
    "unknown": _RETRY,
}


def refusal_of(name: str | None, code: str, reason: str = "") -> Refusal:
    """Return the classified refusal of an error.

    Args:
        name: the chain's name for the error, if it has one.
        code: the SDK's semantic code.
        reason: error text of the SDK or the node, such as `Custom error: 200`.
    """
    found = REFUSALS_BY_NAME.get(name or "") or REFUSALS_BY_CODE.get(code, _RETRY)
    why = name or _sanitize_reason(reason)
    return Refusal(found.code, found.kind, f"{found.detail} ({why})") if why else found


def _sanitize_reason(reason: str) -> str:
    """Return a text on one line, without URLs and secrets, truncated to `MAX_REASON_CHARS`."""
    line = REDACTOR.redact_text(_ADDRESS_PATTERN.sub("[address]", " ".join(reason.split())))
    return line if len(line) <= MAX_REASON_CHARS else f"{line[: MAX_REASON_CHARS - 1]}…"
