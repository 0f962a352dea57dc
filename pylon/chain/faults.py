"""What each error of the chain SDK means: one table, and nothing else in Pylon reads SDK errors.

The table is keyed by the full name of the error's class and by the node's JSON-RPC error code,
so that this module needs no import of the SDK, and no text of an error is ever matched. A test
holds every class name against the installed SDK.
"""

import contextlib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

from pylon.chain.bounds import ImplausibleError
from pylon.chain.chain_guard import WRONG_CHAIN_DETAIL
from pylon_client.contract.failures import ErrorCode

_SYSTEM_ERROR_PATTERN: Final = re.compile(r"\[(?:Errno (-?[0-9]+)\]|SSL: )")

RETRY_AFTER_MAX_S: Final = 300.0
"""A node that refuses our traffic is asked again after this long at the latest."""


class Recovery(Enum):
    """What becomes of the connection on which an error was seen."""

    KEEP = "keep"
    """The node answered; the connection is sound."""
    RECONNECT = "replace"
    """The connection is broken or silent: throw it away, and ask again on a fresh one."""
    RETRY = "ask again"
    """The node's answer cannot be true: ask once more, on the same connection."""
    BACK_OFF = "cool down"
    """The node refuses our traffic: leave it in peace for a while."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of the SDK in Pylon's words.

    Attributes:
        code: what the caller is told.
        recovery: what becomes of the connection.
        detail: for people; free of anything secret and of the SDK's own texts.
        retry_after_s: for how long the node wants to be left in peace, if it says.
    """

    code: ErrorCode
    recovery: Recovery
    detail: str
    retry_after_s: float | None = None


_UNREACHABLE: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT, "The connection to the chain broke."
)
_IMPLAUSIBLE: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE, Recovery.RETRY, "The chain node's answer cannot be true."
)
_RATE_LIMITED: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE,
    Recovery.BACK_OFF,
    "The chain node refuses requests for now: too many were made.",
)
_BUSY: Final = Fault(ErrorCode.CHAIN_UNAVAILABLE, Recovery.KEEP, "The chain node is too busy.")
_UNSUPPORTED: Final = Fault(
    ErrorCode.CHAIN_REJECTED, Recovery.KEEP, "The chain's runtime does not offer this read."
)
_STATE_DISCARDED: Final = Fault(
    ErrorCode.ARCHIVE_REQUIRED,
    Recovery.KEEP,
    "The chain node no longer keeps the state of the block.",
)
_NO_SUCH_BLOCK: Final = Fault(ErrorCode.NOT_FOUND, Recovery.KEEP, "Block not found.")
_REJECTED: Final = Fault(
    ErrorCode.CHAIN_REJECTED, Recovery.KEEP, "The chain node refused the request."
)
_WRONG_CHAIN: Final = Fault(ErrorCode.WRONG_CHAIN, Recovery.RECONNECT, WRONG_CHAIN_DETAIL)
_UNKNOWN: Final = Fault(
    ErrorCode.INTERNAL, Recovery.RECONNECT, "Reading the chain failed in an unforeseen way."
)

FAULTS_BY_CLASS: Final[Mapping[str, Fault]] = {
    "bittensor._transport.errors.StateDiscardedError": _STATE_DISCARDED,
    "bittensor._transport.errors.BlockNotFound": _NO_SUCH_BLOCK,
    "bittensor._transport.errors.RpcPolicyRejection": _RATE_LIMITED,
    "bittensor._transport.errors.MaxRetriesExceeded": _UNREACHABLE,
    "bittensor._transport.errors.StorageFunctionNotFound": _UNSUPPORTED,
    "bittensor.result.RpcPolicyError": _RATE_LIMITED,
    "bittensor.result.RpcConnectionError": _UNREACHABLE,
    "bittensor.result.ConnectionNotReady": _UNREACHABLE,
    "websockets.exceptions.WebSocketException": _UNREACHABLE,
    "builtins.OSError": _UNREACHABLE,
    "pylon.chain.bounds.ImplausibleError": _IMPLAUSIBLE,
    "pydantic_core._pydantic_core.ValidationError": _IMPLAUSIBLE,
    "builtins.OverflowError": _IMPLAUSIBLE,
    # The SDK's word for an API or an argument that the runtime's metadata does not have.
    "builtins.ValueError": _UNSUPPORTED,
}
"""By class; the most derived class that is listed counts."""

WRONG_CHAIN_CLASS: Final = "pylon.chain.substrate.WrongChainError"
"""A node is of another chain than the state; counts wherever it is among the causes."""

REQUEST_ERROR_CLASS: Final = "bittensor._transport.errors.SubstrateRequestException"
"""Carries the node's JSON-RPC error, or, without one, says that the connection went away."""

FAULTS_BY_RPC_CODE: Final[Mapping[int, Fault]] = {
    -32999: _RATE_LIMITED,  # the node's own rate limit of RPC calls
    -32009: _BUSY,  # the JSON-RPC server has no free slot
}
"""By JSON-RPC error code; the SDK types the codes of public gateways (-32004, -32005) itself."""

SUBMISSION_REFUSED_CODES: Final = frozenset({*range(1000, 2000), -32600, -32601, -32602, -32700})
"""JSON-RPC error codes with which a node says that it did not take an extrinsic: those of its
`author` calls (sc-rpc-api), and of the specification for requests that are none. Any other may as
well come from a gateway that has passed the extrinsic on before it failed."""


def fault_of(error: BaseException) -> Fault:
    """What an error raised by the SDK means for the caller and for the connection.

    The SDK wraps what its transport raised, so the causes of an error are looked at too.
    """
    if any(_qualified_name(type(cause)) == WRONG_CHAIN_CLASS for cause in _iter_causes(error)):
        return _WRONG_CHAIN  # which the SDK wraps as it does a node that is away
    for cause in _iter_causes(error):
        names = [_qualified_name(cls) for cls in type(cause).__mro__]
        for name in names:
            if (fault := FAULTS_BY_CLASS.get(name)) is not None:
                return _with_retry_after(fault, cause)
        if REQUEST_ERROR_CLASS in names:
            return _fault_of_request_error(cause)
    return _UNKNOWN


def _qualified_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def is_refused_submission(error: BaseException) -> bool:
    """Whether a submission that failed was answered by the node, which so did not take it."""
    return _rpc_error_code(error) in SUBMISSION_REFUSED_CODES


def describe_error(error: BaseException) -> str:
    """What an error was, for the log: why in words where that is known, class names and codes.

    Nothing else of a text is told: it may hold the address of a node, which may carry a token.
    """
    causes = list(_iter_causes(error))
    parts: list[str] = []
    for cause in causes:
        rpc_code = _rpc_error_code(cause)
        code = "" if rpc_code is None else f" (JSON-RPC {rpc_code})"
        parts.append(f"{type(cause).__name__}{code}")
    names = " from ".join(parts)
    reason = next(filter(None, map(_describe_cause, causes)), None)
    return names if reason is None else f"{reason} ({names})"


def _describe_cause(error: BaseException) -> str | None:
    """Why a node was not reached, or what it said that cannot be true, in words."""
    if isinstance(error, ImplausibleError):
        return str(error)
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return f"it answered with HTTP {status}"
    # The SDK drops what it failed to connect with, and keeps no more of it than this in its text.
    found = _SYSTEM_ERROR_PATTERN.search(str(error))
    if isinstance(error, ssl.SSLError) or (found is not None and found[1] is None):
        return "TLS failed"
    number = found[1] if found is not None else getattr(error, "errno", None)
    if number is None:
        return "it did not answer in time" if isinstance(error, TimeoutError) else None
    # Resolvers count their errors below zero.
    return os.strerror(int(number)) if int(number) > 0 else "its name is not known"


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _rpc_error_code(error: BaseException) -> int | None:
    payload: Any = getattr(error, "payload", None)
    if not isinstance(payload, dict):
        return None
    body = cast("dict[str, Any]", payload).get("error")
    code = cast("dict[str, Any]", body).get("code") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None


def _fault_of_request_error(error: BaseException) -> Fault:
    if getattr(error, "payload", None) is None:
        return _UNREACHABLE
    code = _rpc_error_code(error)
    return _REJECTED if code is None else FAULTS_BY_RPC_CODE.get(code, _REJECTED)


def _with_retry_after(fault: Fault, error: BaseException) -> Fault:
    stated: Any = getattr(error, "retry_after", None)
    if stated is None:
        return fault
    # It may be a date as well; then our own patience counts.
    with contextlib.suppress(ValueError, TypeError):
        seconds = min(max(float(stated), 0.0), RETRY_AFTER_MAX_S)
        return Fault(fault.code, fault.recovery, fault.detail, retry_after_s=seconds)
    return fault
