"""Parse a request message into a call, which a handler executes."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from pylon.common.admission import OPEN_CALLER, Permit
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

MAX_EXTRA_ITEMS: Final = 20
"""Maximum number of invalid items that one error lists."""
MAX_EXCERPT_CHARS: Final = 64
"""Maximum length of a value from the request that an error quotes."""

_REPLAY_OPERATIONS = frozenset(operation.name for operation in EVENT_OPERATIONS)
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_INBOX = re.compile(r"_INBOX(?:\.(?:(?![.*>])[!-~])+)+")

ParamsT = TypeVar("ParamsT", bound=Params)
ParamsT_co = TypeVar("ParamsT_co", bound=Params, covariant=True)


@dataclass(frozen=True, slots=True)
class ServiceCall(Generic[ParamsT_co]):
    """One validated request.

    Attributes:
        operation: name of the operation.
        scope: the authority of the caller.
        netuid: the identity's subnet, or the subnet that a caller with open access named; None if
            the operation concerns the chain.
        identity: the calling identity; None for open access.
        params: the operation's parameters.
        timeout_s: seconds until the caller's deadline.
        request_id: the caller's id of the request, or a random one.
        idempotency_key: the caller's key of a write; None if the caller sent none.
        permit: the permit that the request holds while it is executed; None if concurrency
            is not limited.
    """

    operation: str
    scope: Scope
    netuid: NetUid | None
    identity: IdentityName | None
    params: ParamsT_co
    timeout_s: float
    request_id: str
    idempotency_key: str | None = None
    permit: Permit | None = field(default=None, compare=False, repr=False)

    @property
    def subnet(self) -> NetUid:
        """Return the subnet of a call of an operation per subnet.

        Raises:
            TypeError: the operation concerns the chain.
        """
        if self.netuid is None:
            raise TypeError(f"{self.operation} has no subnet")
        return self.netuid

    @property
    def caller_identity(self) -> IdentityName:
        """Return the identity of a call of an operation for identities.

        Raises:
            TypeError: the call has open access.
        """
        if self.identity is None:
            raise TypeError(f"{self.operation} needs an identity")
        return self.identity

    def without_permit(self, *, required: bool = True) -> AbstractContextManager[None]:
        """Release the admission slot within the block, which waits for something slow.

        See `Permit.released_while_waiting`.

        Raises:
            FailureError: OVERLOADED, when too many of the caller's requests are waiting.
        """
        return (
            nullcontext()
            if self.permit is None
            else self.permit.released_while_waiting(required=required)
        )


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call.

    Attributes:
        body: the JSON of the reply.
        block: the block at which all of it was read. The reply's headers contain it, so that a
            client can recognise a result that it has cached for the same query and block.
        headers: further headers of the reply.
    """

    body: bytes
    block: Block | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Handler = Callable[[ServiceCall[ParamsT]], Awaitable[CallResult | bytes]]
"""Executes a call. It returns the bare body if the result has no block, and raises FailureError."""


class HandlerTable:
    """Handlers by the name of their operation.

    Attributes:
        handlers: the handlers by name.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Handler[Any]] = {}

    def add(self, operation: Operation[ParamsT, BaseModel], handler: Handler[ParamsT]) -> None:
        """Register the handler of an operation, which receives the operation's parameters."""
        self.handlers[operation.name] = handler


def is_valid_reply_subject(subject: str, reply: str) -> bool:
    """Return whether a reply to `reply` reaches the caller of the request's subject, or the bridge.

    A caller may name any subject for the reply. A worker, or JetStream, could thus be made to
    publish its reply on another identity's request subjects or on JetStream's own API. A reply
    subject must therefore be an inbox, and for an identity an inbox of that identity. Reply
    subjects with wildcards or empty tokens are rejected: the server may refuse them.

    An inbox of a worker is never accepted. A worker receives replies of JetStream there, and would
    take its own reply to a caller for one of those. A reader does not use JetStream; its inboxes
    receive replays, which only readers may request.

    An open request may name any other inbox, since its subject names no caller. The worst case is a
    public reply at an inbox that does not expect it, which may be the bridge's. The inbox of a
    pending request contains two random parts of 128 bits, one per connection and one per request,
    and a client drops unexpected replies.
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
    """Return the caller whose share a request uses: its identity, the readers, or open access.

    A request for an identity that is not configured is rejected later, and uses the share of open
    access.
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
    body = body or b"{}"
    try:
        params = operation.params.model_validate_json(body)
    except ValidationError as error:
        raise _invalid_error(
            operation, [_invalid_item(problem) for problem in _validation_errors(error)]
        ) from None
    if repeated := json_codec.duplicate_keys(body):
        raise _invalid_error(operation, [duplicate_key_item(key) for key in repeated])
    return params


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
