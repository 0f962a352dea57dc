"""Parse a request message into a call, and reject invalid ones with an error per item."""

import re
import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from pylon.common.admission import Permit
from pylon.rpc.calls import ServiceCall
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.event_replay import EVENT_OPERATIONS
from pylon_client.contract.failures import (
    MAX_KEY_CHARS,
    ErrorCode,
    FailureError,
    InvalidItem,
    duplicate_key_item,
)
from pylon_client.contract.operations import OPERATIONS_BY_NAME, Operation, Params, Scope
from pylon_client.contract.subjects import (
    CONTRACT_VERSION,
    IdentitySubject,
    InvalidSubjectError,
    OpenSubject,
    ReplaySubject,
    parse_subject,
)
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S
from pylon_client.contract.types import IdentityName, NetUid

MAX_EXTRA_ITEMS: Final = 20
"""Maximum number of invalid items that one error lists."""
MAX_EXCERPT_CHARS: Final = 64
"""Maximum length of a value from the request that an error quotes."""

_REPLAY_OPERATIONS = frozenset(operation.name for operation in EVENT_OPERATIONS)
_NO_PARAMS = frozenset({b"", b"{}"})
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


def parse_call(
    subject: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    identities: Mapping[IdentityName, NetUid],
    default_timeout_s: float = DEFAULT_TIMEOUT_S,
    queued_s: float = 0.0,
    permit: Permit | None = None,
) -> ServiceCall[Params]:
    """Parse and validate a request message.

    Args:
        subject: of the message.
        headers: of the message.
        body: of the message.
        identities: the configured identities and the subnet of each.
        default_timeout_s: timeout of a request without a timeout header, in seconds.
        queued_s: seconds since this worker received the message.
        permit: the permit that the request holds while it is executed.

    Raises:
        FailureError: NOT_FOUND for an unknown operation or identity, NETUID_MISMATCH if the
            identity belongs to another subnet than the caller expects, DEADLINE_EXCEEDED if the
            caller's deadline has passed, INVALID for an invalid request, with one item of `extra`
            per error.
    """
    operation, scope, netuid, identity = _parse_subject(subject, identities)
    if identity is not None:
        _check_netuid(identity, netuid, headers.get(wire_headers.NETUID))
    _check_contract(headers.get(wire_headers.CONTRACT, CONTRACT_VERSION))
    return ServiceCall(
        operation=operation.name,
        scope=scope,
        netuid=netuid,
        identity=identity,
        timeout_s=_remaining_s(headers, default_timeout_s, queued_s),
        params=_parse_params(operation, body),
        request_id=_parse_request_id(headers.get(wire_headers.REQUEST_ID, "")),
        idempotency_key=_parse_idempotency_key(headers.get(wire_headers.IDEMPOTENCY_KEY)),
        permit=permit,
    )


def _parse_subject(
    subject: str, identities: Mapping[IdentityName, NetUid]
) -> tuple[Operation[Params, BaseModel], Scope, NetUid | None, IdentityName | None]:
    try:
        parsed = parse_subject(subject)
    except InvalidSubjectError as error:
        raise FailureError(ErrorCode.INVALID, str(error)) from None
    match parsed:
        case OpenSubject(netuid, name):
            operation = _find_operation(name, Scope.OPEN, of_subnet=netuid is not None)
            return operation, Scope.OPEN, netuid, None
        case ReplaySubject(netuid, name) if name in _REPLAY_OPERATIONS:
            operation = _find_operation(name, Scope.OPEN, of_subnet=netuid is not None)
            return operation, Scope.OPEN, netuid, None
        case IdentitySubject(identity, name):
            if identity not in identities:
                raise FailureError(ErrorCode.NOT_FOUND, f"Identity {identity!r} not found.")
            operation = _find_operation(name, Scope.IDENTITY, of_subnet=True)
            return operation, Scope.IDENTITY, identities[identity], identity
        case _:
            raise FailureError(ErrorCode.NOT_FOUND, f"{subject!r} takes no requests.")


def _find_operation(name: str, scope: Scope, *, of_subnet: bool) -> Operation[Params, BaseModel]:
    operation = OPERATIONS_BY_NAME.get(name)
    if operation is None or scope not in operation.scopes or operation.per_subnet != of_subnet:
        place = "a subnet" if of_subnet else "the chain"
        raise FailureError(
            ErrorCode.NOT_FOUND, f"There is no {scope} operation {name!r} on {place}."
        )
    return operation


def _check_netuid(
    identity: IdentityName, netuid: NetUid | None, expected_netuid: str | None
) -> None:
    # The identity may have moved to another subnet while the bridge still runs with the old
    # settings: its write for the old subnet must not go to the new one.
    if expected_netuid is not None and expected_netuid != str(netuid):
        raise FailureError(
            ErrorCode.NETUID_MISMATCH,
            f"Identity {identity!r} is of subnet {netuid}, not of "
            f"{expected_netuid[:MAX_EXCERPT_CHARS]!r}.",
        )


def _check_contract(version: str) -> None:
    if version.partition(".")[0] != CONTRACT_VERSION:
        raise FailureError(
            ErrorCode.INVALID,
            f"The request uses contract {version[:MAX_EXCERPT_CHARS]!r}, this worker "
            f"{CONTRACT_VERSION!r}.",
        )


def _remaining_s(headers: Mapping[str, str], default_timeout_s: float, queued_s: float) -> float:
    """Return the seconds until the caller's deadline.

    Raises:
        FailureError: INVALID if a header is not a number of milliseconds, DEADLINE_EXCEEDED if the
            deadline has passed.
    """
    timeout, deadline = headers.get(wire_headers.TIMEOUT), headers.get(wire_headers.DEADLINE)
    try:
        if timeout is not None:
            left_s = wire_headers.decode_timeout(timeout) - queued_s
        elif deadline is not None:
            left_s = wire_headers.seconds_left(deadline)
        else:
            return default_timeout_s
    except (ValueError, OverflowError):
        name = wire_headers.DEADLINE if timeout is None else wire_headers.TIMEOUT
        raise FailureError(
            ErrorCode.INVALID, f"The header {name} is not a number of milliseconds."
        ) from None
    if left_s <= 0:
        detail = "The deadline had passed before the request was started."
        if timeout is None:
            detail = (
                f"The deadline had passed {-left_s:.1f} s before the request was started, by this "
                f"worker's clock. If the client waited less than that, its clock is behind: "
                f"set it, or update the client, which then sends {wire_headers.TIMEOUT}."
            )
        raise FailureError(ErrorCode.DEADLINE_EXCEEDED, detail)
    return min(left_s, MAX_TIMEOUT_S)


def _parse_params(operation: Operation[Params, BaseModel], body: bytes) -> Params:
    most_bytes = operation.max_request_bytes
    if len(body) > most_bytes:
        raise FailureError(
            ErrorCode.INVALID,
            f"The request has {len(body)} bytes; the maximum is {most_bytes}.",
        )
    has_params = body not in _NO_PARAMS
    try:
        params = (
            operation.params.model_validate_json(body)
            if has_params
            else _default_params(operation.params)
        )
    except ValidationError as error:
        raise _invalid_error(
            operation, [_invalid_item(problem) for problem in _validation_errors(error)]
        ) from None
    if has_params and (repeated := json_codec.duplicate_keys(body)):
        raise _invalid_error(operation, [duplicate_key_item(key) for key in repeated])
    return params


@cache
def _default_params(kind: type[Params]) -> Params:
    """Return the parameters of a request without any; they are immutable, so calls share them.

    Raises:
        ValidationError: parameters of this kind are required.
    """
    return kind.model_validate({})


def _invalid_error(
    operation: Operation[Params, BaseModel], items: list[InvalidItem]
) -> FailureError:
    return FailureError(
        ErrorCode.INVALID,
        f"Validation failed for {operation.name}",
        extra=items[:MAX_EXTRA_ITEMS],
    )


def _validation_errors(error: ValidationError) -> list[dict[str, Any]]:
    # The input is not repeated in the error: it may be large, or a secret in the wrong field.
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [dict(problem) for problem in found]


def _invalid_item(validation_error: dict[str, Any]) -> InvalidItem:
    key = ".".join(map(str, validation_error["loc"]))[:MAX_KEY_CHARS]
    return InvalidItem(message=validation_error["msg"], key=key or None, source="body")


def _parse_idempotency_key(text: str | None) -> str | None:
    if text is not None and not wire_headers.is_idempotency_key(text):
        raise FailureError(
            ErrorCode.INVALID,
            f"The header {wire_headers.IDEMPOTENCY_KEY} should be "
            f"{wire_headers.IDEMPOTENCY_KEY_RULE}.",
        )
    return text


def _parse_request_id(text: str) -> str:
    return text if _REQUEST_ID.fullmatch(text) else secrets.token_hex(8)
