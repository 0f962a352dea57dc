"""Classification of the errors of the chain SDK, in one table.

The table is keyed by the qualified name of the error's class and by the node's JSON-RPC error code.
So this module does not import the SDK, and no error text is matched. A test checks every class name
against the installed SDK.
"""

import contextlib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, cast

from pylon.chain.bounds import ImplausibleError
from pylon.chain.chain_guard import WRONG_CHAIN_DETAIL
from pylon_client.contract.failures import ErrorCode

_SYSTEM_ERROR_PATTERN: Final = re.compile(r"\[(?:Errno (-?[0-9]+)\]|SSL: )")

MAX_RETRY_AFTER_S: Final = 300.0
"""Maximum delay before the next request to a node that reported a rate limit, in seconds."""


class Recovery(Enum):
    """The action to take on the connection after an error."""

    KEEP = auto()
    """Keep it: the node responded."""
    RECONNECT = auto()
    """Replace it: the connection broke or the node did not respond. Retry on a new one."""
    RETRY = auto()
    """Retry once on the same connection: the response was invalid."""
    BACK_OFF = auto()
    """Keep it, and send no request during a delay: the node reported a rate limit."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A classified error of the SDK.

    Attributes:
        code: error code for the caller.
        recovery: action to take on the connection.
        detail: text for people, without secrets and without texts of the SDK.
        retry_after_s: delay in seconds that the node requested, if any.
    """

    code: ErrorCode
    recovery: Recovery
    detail: str
    retry_after_s: float | None = None


_UNREACHABLE: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT, "The connection to the chain broke."
)
_IMPLAUSIBLE: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE, Recovery.RETRY, "The chain node returned an implausible value."
)
_RATE_LIMITED: Final = Fault(
    ErrorCode.CHAIN_UNAVAILABLE,
    Recovery.BACK_OFF,
    "The chain node refuses requests for now: its rate limit was exceeded.",
)
_BUSY: Final = Fault(ErrorCode.CHAIN_UNAVAILABLE, Recovery.KEEP, "The chain node is too busy.")
_UNSUPPORTED: Final = Fault(
    ErrorCode.CHAIN_REJECTED, Recovery.KEEP, "The chain's runtime does not offer this read."
)
_STATE_DISCARDED: Final = Fault(
    ErrorCode.ARCHIVE_REQUIRED,
    Recovery.KEEP,
    "The chain node has discarded the state of the block.",
)
_NO_SUCH_BLOCK: Final = Fault(ErrorCode.NOT_FOUND, Recovery.KEEP, "Block not found.")
_REJECTED: Final = Fault(
    ErrorCode.CHAIN_REJECTED, Recovery.KEEP, "The chain node refused the request."
)
_WRONG_CHAIN: Final = Fault(ErrorCode.WRONG_CHAIN, Recovery.RECONNECT, WRONG_CHAIN_DETAIL)
_UNKNOWN: Final = Fault(
    ErrorCode.INTERNAL, Recovery.RECONNECT, "Reading the chain failed with an unexpected error."
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
    # The SDK raises it for an API or an argument that the runtime's metadata does not have.
    "builtins.ValueError": _UNSUPPORTED,
}
"""Faults by the qualified name of the error's class; the most derived listed class counts."""

WRONG_CHAIN_CLASS: Final = "pylon.chain.substrate.WrongChainError"
"""Error of a node of another chain than the state; checked first in the whole chain of causes."""

REQUEST_ERROR_CLASS: Final = "bittensor._transport.errors.SubstrateRequestException"
"""Error with the node's JSON-RPC error; without one, the connection was lost."""

FAULTS_BY_RPC_CODE: Final[Mapping[int, Fault]] = {
    -32999: _RATE_LIMITED,  # the node's own rate limit of RPC calls
    -32009: _BUSY,  # the JSON-RPC server has no free slot
}
"""Faults by JSON-RPC error code; the SDK has classes for gateway codes (-32004, -32005)."""

SUBMISSION_REFUSED_CODES: Final = frozenset({*range(1000, 2000), -32600, -32601, -32602, -32700})
"""JSON-RPC error codes that prove that a node did not accept an extrinsic.

These are the codes of its `author` calls (sc-rpc-api), and the codes of the specification for
invalid requests. Other codes may come from a gateway that forwarded the extrinsic before it failed.
"""


def fault_of(error: BaseException) -> Fault:
    """Return the fault of an error raised by the SDK.

    The SDK wraps the errors of its transport, so the causes of an error are checked too.
    """
    if any(_qualified_name(type(cause)) == WRONG_CHAIN_CLASS for cause in _iter_causes(error)):
        return _WRONG_CHAIN  # the SDK wraps it like the error of an unreachable node
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
    """Return whether an error of a submission proves that the node did not accept it."""
    return _rpc_error_code(error) in SUBMISSION_REFUSED_CODES


def describe_error(error: BaseException) -> str:
    """Return an error as text for the log: the cause if it is known, class names and codes.

    The error's own text is left out: it may contain the URL of a node with a token in it.
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
    """Return why a node could not be reached, or which invalid value it reported, if known."""
    if isinstance(error, ImplausibleError):
        return str(error)
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return f"it answered with HTTP {status}"
    # The SDK drops the error of a failed connection and keeps only this part in its own text.
    found = _SYSTEM_ERROR_PATTERN.search(str(error))
    if isinstance(error, ssl.SSLError) or (found is not None and found[1] is None):
        return "TLS failed"
    number = found[1] if found is not None else getattr(error, "errno", None)
    if number is None:
        return "it did not answer in time" if isinstance(error, TimeoutError) else None
    # Resolver errors have negative numbers.
    return os.strerror(int(number)) if int(number) > 0 else "its name is not known"


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


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
    # It may also be a date; then the configured backoff applies.
    with contextlib.suppress(ValueError, TypeError):
        seconds = min(max(float(stated), 0.0), MAX_RETRY_AFTER_S)
        return Fault(fault.code, fault.recovery, fault.detail, retry_after_s=seconds)
    return fault
