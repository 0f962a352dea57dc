"""From a message on a request subject to a call that a handler can answer."""

import re
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from pylon.common.admission import OPEN_CALLER, Permit
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import wire
from pylon_client.contract.event_replay import EVENT_OPERATIONS
from pylon_client.contract.failures import (
    KEY_MAX_CHARS,
    ErrorCode,
    FailureError,
    InvalidItem,
    duplicate_key_item,
)
from pylon_client.contract.models import Block
from pylon_client.contract.operations import OPERATIONS_BY_NAME, Operation, Params, Scope
from pylon_client.contract.subjects import (
    BRIDGE_USER,
    CONTRACT_VERSION,
    READER_USER,
    REPLAY_PREFIX,
    SERVER_USERS,
    IdentitySubject,
    InvalidSubjectError,
    OpenSubject,
    ReplaySubject,
    inbox_prefix,
    parse_subject,
)
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S
from pylon_client.contract.types import IdentityName, NetUid

EXTRA_ITEMS_MAX: Final = 20

EXCERPT_MAX_CHARS: Final = 64

_REPLAY_OPERATIONS = frozenset(operation.name for operation in EVENT_OPERATIONS)
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_INBOX = re.compile(r"_INBOX(?:\.(?:(?![.*>])[!-~])+)+")


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """One request, checked: who asks for what, and for how long they wait.

    Attributes:
        operation: the operation's name.
        scope: under whose authority it is asked.
        netuid: the subnet it is about: the identity's own, or the one an open-access user named;
            None when it is about the chain.
        identity: who asks; None for open access.
        params: an instance of the operation's own model.
        timeout_s: for how many more seconds the caller waits.
        request_id: the caller's name for this request, or one made up here.
        idempotency_key: the caller's name for what is to be written; None where there is none.
        admission_slot: that the request holds while it is answered; None where places are not limited.
    """

    operation: str
    scope: Scope
    netuid: NetUid | None
    identity: IdentityName | None
    params: Params
    timeout_s: float
    request_id: str
    idempotency_key: str | None = None
    admission_slot: Permit | None = field(default=None, compare=False, repr=False)

    def without_admission_slot(self, *, required: bool = True) -> AbstractContextManager[None]:
        """Hold no place within the block, which waits for something slow; see `Place.parked`.

        Raises:
            FailureError: OVERLOADED, when the caller has too many requests that wait.
        """
        return (
            nullcontext()
            if self.admission_slot is None
            else self.admission_slot.parked(required=required)
        )


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a handler found out.

    Attributes:
        body: the JSON of the reply.
        block: the block that all of it was read at, told in the reply's headers: whoever holds
            an answer to the same question at that block holds this one.
        headers: what else the reply's headers tell.
    """

    body: bytes
    block: Block | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def is_valid_reply_subject(subject: str, reply: str) -> bool:
    """Whether an answer to `reply` goes to whom the request's subject says, or to the bridge.

    NATS lets a caller name any subject for the reply, so that a worker, or JetStream, could be
    made to publish its answer on another identity's requests or on JetStream's own API. Only
    inboxes are answered, and for an identity only its own. What no client would choose as its
    inbox, such as a wildcard or a subject with an empty token, is none: the server may refuse it.

    Never in an inbox of a worker: there it waits for JetStream, and would take its own answer to a
    caller for JetStream's. A reader has no JetStream, and waits for replays, which it alone may
    request.

    An open request may name any other inbox: its subject does not say who asks, and everybody may.
    All that this can bring about is a public answer at an inbox where nobody waits for it, the
    bridge's included: an inbox where a reply is awaited has two random parts of 128 bits, of the
    connection and of the request, and a client drops what it did not ask for.
    """
    if not _INBOX.fullmatch(reply):
        return False
    if subject.startswith(f"{REPLAY_PREFIX}."):
        return reply.startswith(f"{inbox_prefix(READER_USER)}.")
    if reply.split(".", 2)[1] in SERVER_USERS:
        return False
    match subject.split(".", 4):
        case ["pylon", "v1", "identity", name, _]:
            return reply.startswith((f"{inbox_prefix(name)}.", f"{inbox_prefix(BRIDGE_USER)}."))
        case _:
            return True


def caller_of(subject: str, identities: Mapping[IdentityName, NetUid]) -> str:
    """Return the caller that a request counts for: its identity, the readers, or open access.

    A request for an identity that is not configured, which is refused, counts as open access.
    """
    match subject.split(".", 4):
        case ["pylon", "v1", "identity", name, _] if name in identities:
            return name
        case ["pylon", "v1", "replay", *_]:
            return READER_USER
        case _:
            return OPEN_CALLER


def parse_call(
    subject: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    identities: Mapping[IdentityName, NetUid],
    default_timeout_s: float = DEFAULT_TIMEOUT_S,
    queued_s: float = 0.0,
    admission_slot: Permit | None = None,
) -> ServiceCall:
    """Return the call that a message makes.

    Args:
        subject: of the message.
        headers: of the message.
        body: of the message.
        identities: the configured identities and the subnet of each.
        default_timeout_s: the timeout of a request that gives none.
        queued_s: seconds since the message was received here.
        admission_slot: that the request holds while it is answered.

    Raises:
        FailureError: NOT_FOUND for an operation or an identity that is not there,
            NETUID_MISMATCH where the identity is of another subnet than its caller believes,
            DEADLINE_EXCEEDED where nobody waits any more, INVALID where the request is wrong,
            with an item of `extra` for each thing that is.
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
        admission_slot=admission_slot,
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
    # A bridge that has not been told yet that the identity has moved would write to its new subnet
    # what was meant for the old one.
    if expected_netuid is not None and expected_netuid != str(netuid):
        raise FailureError(
            ErrorCode.NETUID_MISMATCH,
            f"Identity {identity!r} is of subnet {netuid}, not of {expected_netuid[:EXCERPT_MAX_CHARS]!r}.",
        )


def _check_contract(version: str) -> None:
    if version.partition(".")[0] != CONTRACT_VERSION:
        raise FailureError(
            ErrorCode.INVALID,
            f"The request speaks contract {version[:EXCERPT_MAX_CHARS]!r}, this worker "
            f"{CONTRACT_VERSION!r}.",
        )


def _remaining_s(headers: Mapping[str, str], default_timeout_s: float, waited_s: float) -> float:
    """Return for how many more seconds the sender waits.

    Raises:
        FailureError: INVALID where a header is not a number of milliseconds, DEADLINE_EXCEEDED
            where the sender does not wait any more.
    """
    timeout, deadline = headers.get(wire_headers.TIMEOUT), headers.get(wire_headers.DEADLINE)
    try:
        if timeout is not None:
            left_s = wire_headers.decode_timeout(timeout) - waited_s
        elif deadline is not None:
            left_s = wire_headers.seconds_left(deadline)
        else:
            return default_timeout_s
    except (ValueError, OverflowError):
        name = wire_headers.DEADLINE if timeout is None else wire_headers.TIMEOUT
        raise FailureError(
            ErrorCode.INVALID, f"The header {name} is no number of milliseconds."
        ) from None
    if left_s <= 0:
        detail = "The deadline had passed before the request was begun."
        if timeout is None:
            detail = (
                f"The deadline had passed {-left_s:.1f} s before the request was begun, by this "
                f"worker's clock. If the client waited for less than that, its clock is behind: "
                f"set it, or update the client, which then sends {wire_headers.TIMEOUT}."
            )
        raise FailureError(ErrorCode.DEADLINE_EXCEEDED, detail)
    return min(left_s, MAX_TIMEOUT_S)


def _parse_params(operation: Operation[Params, BaseModel], body: bytes) -> Params:
    most_bytes = operation.request_max_bytes
    if len(body) > most_bytes:
        raise FailureError(
            ErrorCode.INVALID,
            f"The request has {len(body)} bytes; at most {most_bytes} are taken.",
        )
    body = body or b"{}"
    try:
        params = operation.params.model_validate_json(body)
    except ValidationError as error:
        raise _invalid_error(
            operation, [_invalid_item(problem) for problem in _validation_errors(error)]
        ) from None
    if repeated := wire.duplicate_keys(body):
        raise _invalid_error(operation, [duplicate_key_item(key) for key in repeated])
    return params


def _invalid_error(
    operation: Operation[Params, BaseModel], items: list[InvalidItem]
) -> FailureError:
    return FailureError(
        ErrorCode.INVALID,
        f"Validation failed for {operation.name}",
        extra=items[:EXTRA_ITEMS_MAX],
    )


def _validation_errors(error: ValidationError) -> list[dict[str, Any]]:
    # What was sent is not sent back: it may be large, or a secret in the wrong place.
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [dict(problem) for problem in found]


def _invalid_item(validation_error: dict[str, Any]) -> InvalidItem:
    key = ".".join(map(str, validation_error["loc"]))[:KEY_MAX_CHARS]
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
