"""The NATS subjects of contract v1; no other module formats or parses subjects.

Authorization depends on the subject: NATS restricts the subjects to which a user may publish, and
workers read the subnet or the identity of a request from its subject alone.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pylon_client.contract.types import (
    MAX_MECHANISM,
    MAX_NETUID,
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
    PublisherId,
)

CONTRACT_VERSION: Final = "v1"
ROOT: Final = f"pylon.{CONTRACT_VERSION}"

OPEN_USER: Final = "open"
WORKER_USER: Final = "worker"
BRIDGE_USER: Final = "bridge"
READER_USER: Final = "reader"
SERVER_USERS: Final = frozenset({WORKER_USER, READER_USER})
"""Users of the processes that reply to requests; no reply may be sent to their inboxes.

Their inboxes receive replies of JetStream and, for readers, stored events.
"""
RESERVED_USERS: Final = frozenset({OPEN_USER, WORKER_USER, BRIDGE_USER, READER_USER})

ALL_OPEN: Final = f"{ROOT}.open.>"
ALL_IDENTITIES: Final = f"{ROOT}.identity.>"
REPLAY_PREFIX: Final = f"{ROOT}.replay"
ALL_REPLAYS: Final = f"{REPLAY_PREFIX}.>"
"""Requests of readers for stored events; readers may not use the JetStream API."""
ALL_EVENTS: Final = f"{ROOT}.event.>"
BLOCK_EVENTS: Final = f"{ROOT}.event.block"
ALL_NEURONS_EVENTS: Final = f"{ROOT}.event.neurons.*"
ALL_NEURONS_PARTS: Final = f"{ROOT}.event.neurons.*.part.*"
CHANGES_PREFIX: Final = f"{ROOT}.event.changes."
ALL_CHANGES_EVENTS: Final = f"{CHANGES_PREFIX}*"
ALL_CHANGES_PARTS: Final = f"{CHANGES_PREFIX}*.part.*"
ALL_JOBS: Final = f"{ROOT}.job.>"
ALL_JOB_EVENTS: Final = f"{ROOT}.event.job.>"
ALL_SIGNER_EVENTS: Final = f"{ROOT}.event.signer.*"
"""Events between workers: the identities that each can sign for."""
ALL_PUBLISHER_EVENTS: Final = f"{ROOT}.event.publisher.*"
"""Heartbeats between workers that publish."""

CHAIN_SEGMENT: Final = "chain"
CANCEL_SEGMENT: Final = "cancel"
CANCELLATIONS: Final = (
    f"{ROOT}.open.{CHAIN_SEGMENT}.{CANCEL_SEGMENT}",
    f"{ROOT}.identity.*.{CANCEL_SEGMENT}",
)
"""Subjects on which workers receive cancellations of requests."""
CACHED_SUBJECTS: Final = 1024
"""Maximum number of subjects whose parts are cached; a request repeats the subject of another."""

_IDENTITY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_OPERATION = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_NETUID = re.compile(r"0|[1-9][0-9]{0,4}")
_PART = re.compile(r"[1-9][0-9]{0,5}")
_MECHANISM = re.compile(r"0|[1-9][0-9]?")
_JOB_ID = re.compile(r"[a-z2-7]{26}")
_PUBLISHER_ID = re.compile(r"[0-9a-f]{8}")


class InvalidSubjectError(ValueError):
    """A subject, or a part of one, does not match the contract."""


def validate_identity_name(text: str) -> IdentityName:
    """Return a name if it can name an identity.

    A name has at most 63 letters, digits, `_` and `-`, and is not a reserved user.

    Raises:
        InvalidSubjectError: the name is not valid in a subject, or is reserved.
    """
    if not _IDENTITY_NAME.fullmatch(text) or text.lower() in RESERVED_USERS:
        raise InvalidSubjectError(
            f"{text!r} cannot name an identity: use letters, digits, '_' and '-', "
            f"and none of {', '.join(sorted(RESERVED_USERS))}"
        )
    return IdentityName(text)


def _parse_netuid(text: str) -> NetUid:
    if not _NETUID.fullmatch(text) or int(text) > MAX_NETUID:
        raise InvalidSubjectError(f"{text!r} is not a netuid")
    return NetUid(int(text))


def _validate_operation(text: str) -> str:
    if not _OPERATION.fullmatch(text):
        raise InvalidSubjectError(f"{text!r} is not an operation")
    return text


def validate_job_id(text: str) -> JobId:
    """Return a job id if it is valid: 26 characters of lower-case base32.

    Raises:
        InvalidSubjectError: the id is not valid.
    """
    if not _JOB_ID.fullmatch(text):
        raise InvalidSubjectError(f"{text!r} is not a job's id")
    return JobId(text)


def validate_publisher_id(text: str) -> PublisherId:
    """Return the id of a publishing worker if it is valid: 8 hexadecimal digits.

    Raises:
        InvalidSubjectError: the id is not valid.
    """
    if not _PUBLISHER_ID.fullmatch(text):
        raise InvalidSubjectError(f"{text!r} is not a publisher's id")
    return PublisherId(text)


def _parse_kind(text: str) -> JobKind:
    try:
        return JobKind(text)
    except ValueError:
        raise InvalidSubjectError(f"{text!r} is not a kind of job") from None


def _parse_mechanism(text: str) -> MechanismId:
    if not _MECHANISM.fullmatch(text) or int(text) > MAX_MECHANISM:
        raise InvalidSubjectError(f"{text!r} is not a mechanism")
    return MechanismId(int(text))


@dataclass(frozen=True, slots=True)
class OpenSubject:
    """A read with open access, of one subnet or (netuid None) of the chain."""

    netuid: NetUid | None
    operation: str

    def __str__(self) -> str:
        scope = CHAIN_SEGMENT if self.netuid is None else str(_parse_netuid(str(self.netuid)))
        return f"{ROOT}.open.{scope}.{_validate_operation(self.operation)}"


@dataclass(frozen=True, slots=True)
class IdentitySubject:
    """A read or a write of an identity, on its subnet."""

    identity: IdentityName
    operation: str

    def __str__(self) -> str:
        name = validate_identity_name(self.identity)
        return f"{ROOT}.identity.{name}.{_validate_operation(self.operation)}"


@dataclass(frozen=True, slots=True)
class ReplaySubject:
    """A reader's request for stored events, of one subnet or (netuid None) of the chain."""

    netuid: NetUid | None
    operation: str

    def __str__(self) -> str:
        scope = CHAIN_SEGMENT if self.netuid is None else str(_parse_netuid(str(self.netuid)))
        return f"{REPLAY_PREFIX}.{scope}.{_validate_operation(self.operation)}"


@dataclass(frozen=True, slots=True)
class BlockEventSubject:
    """The subject of block events."""

    def __str__(self) -> str:
        return BLOCK_EVENTS


@dataclass(frozen=True, slots=True)
class NeuronsEventSubject:
    """The subject of the neuron snapshots of one tracked subnet."""

    netuid: NetUid

    def __str__(self) -> str:
        return f"{ROOT}.event.neurons.{_parse_netuid(str(self.netuid))}"


@dataclass(frozen=True, slots=True)
class ChangesEventSubject:
    """The subject of the changes between the neuron snapshots of one tracked subnet."""

    netuid: NetUid

    def __str__(self) -> str:
        return f"{ROOT}.event.changes.{_parse_netuid(str(self.netuid))}"


@dataclass(frozen=True, slots=True)
class EventPartSubject:
    """The subject of one stored part of a subnet's event too large for one message, from 1."""

    event: NeuronsEventSubject | ChangesEventSubject
    part: int

    def __str__(self) -> str:
        if self.part < 1:
            raise InvalidSubjectError(f"{self.part!r} is not the number of a part")
        return f"{self.event}.part.{self.part}"


@dataclass(frozen=True, slots=True)
class JobSubject:
    """The subject of a job queue: of an identity, a kind and, for weights, a mechanism.

    `mechanism` is None for every kind but weights.
    """

    identity: IdentityName
    kind: JobKind
    mechanism: MechanismId | None = None

    def __str__(self) -> str:
        if (self.kind is JobKind.WEIGHTS) != (self.mechanism is not None):
            raise InvalidSubjectError("weights, and no other kind, need a mechanism")
        queue = f"{ROOT}.job.{validate_identity_name(self.identity)}.{self.kind}"
        return (
            queue if self.mechanism is None else f"{queue}.{_parse_mechanism(str(self.mechanism))}"
        )


@dataclass(frozen=True, slots=True)
class JobEventSubject:
    """The subject of the events of one job."""

    identity: IdentityName
    job_id: JobId

    def __str__(self) -> str:
        name = validate_identity_name(self.identity)
        return f"{ROOT}.event.job.{name}.{validate_job_id(self.job_id)}"


_EventSubject = (
    BlockEventSubject
    | NeuronsEventSubject
    | ChangesEventSubject
    | EventPartSubject
    | JobEventSubject
)
Subject = OpenSubject | IdentitySubject | ReplaySubject | JobSubject | _EventSubject


@lru_cache(maxsize=CACHED_SUBJECTS)
def parse_subject(subject: str) -> Subject:
    """Parse a subject; `str()` of the result is the same subject.

    Raises:
        InvalidSubjectError: the subject is not one of this contract.
    """
    match subject.split(".", 4):
        case ["pylon", "v1", "open" | "replay" as kind, scope, operation]:
            subject_of = OpenSubject if kind == "open" else ReplaySubject
            netuid = None if scope == CHAIN_SEGMENT else _parse_netuid(scope)
            return subject_of(netuid, _validate_operation(operation))
        case ["pylon", "v1", "identity", name, operation]:
            return IdentitySubject(validate_identity_name(name), _validate_operation(operation))
        case ["pylon", "v1", "event", *event]:
            return _parse_event(subject, event)
        case ["pylon", "v1", "job", name, queue]:
            return _parse_job_queue(name, queue)
        case _:
            raise InvalidSubjectError(f"{subject!r} is not a subject of contract v1")


def _parse_event(subject: str, event: list[str]) -> _EventSubject:
    match event:
        case ["block"]:
            return BlockEventSubject()
        case ["neurons", rest]:
            return _parse_subnet_event(subject, NeuronsEventSubject, rest)
        case ["changes", rest]:
            return _parse_subnet_event(subject, ChangesEventSubject, rest)
        case ["job", rest]:
            name, _, last = rest.partition(".")
            return JobEventSubject(validate_identity_name(name), validate_job_id(last))
        case _:
            raise InvalidSubjectError(f"{subject!r} is not a subject of contract v1")


def _parse_subnet_event(
    subject: str, event_type: type[NeuronsEventSubject] | type[ChangesEventSubject], rest: str
) -> NeuronsEventSubject | ChangesEventSubject | EventPartSubject:
    match rest.split("."):
        case [netuid]:
            return event_type(_parse_netuid(netuid))
        case [netuid, "part", number] if _PART.fullmatch(number):
            return EventPartSubject(event_type(_parse_netuid(netuid)), int(number))
        case _:
            raise InvalidSubjectError(f"{subject!r} is not a subject of contract v1")


def _parse_job_queue(name: str, queue: str) -> JobSubject:
    kind, dot, mechanism = queue.partition(".")
    parsed = JobSubject(
        validate_identity_name(name),
        _parse_kind(kind),
        _parse_mechanism(mechanism) if dot else None,
    )
    str(parsed)
    return parsed


@lru_cache(maxsize=CACHED_SUBJECTS)
def cancellation_subject(request: str) -> str | None:
    """Return the subject for the cancellation of a request; None if it cannot be cancelled."""
    match request.split(".", 4):
        case ["pylon", "v1", "open", _, _]:
            return f"{ROOT}.open.{CHAIN_SEGMENT}.{CANCEL_SEGMENT}"
        case ["pylon", "v1", "identity", name, _]:
            return f"{ROOT}.identity.{name}.{CANCEL_SEGMENT}"
        case _:
            return None


def inbox_prefix(user: str) -> str:
    """Return the prefix of a NATS user's inboxes, without the trailing dot."""
    return f"_INBOX.{user}"


def identity_requests(name: IdentityName) -> str:
    """Return the wildcard of all requests of one identity."""
    return f"{ROOT}.identity.{validate_identity_name(name)}.>"


def requests_of_all_identities(operation: str) -> str:
    """Return the wildcard of the requests of all identities for one operation."""
    return f"{ROOT}.identity.*.{_validate_operation(operation)}"


def identity_jobs(name: IdentityName, kind: JobKind) -> str:
    """Return the wildcard of all jobs of one identity and kind, for all mechanisms."""
    queue = f"{ROOT}.job.{validate_identity_name(name)}.{kind}"
    return f"{queue}.*" if kind is JobKind.WEIGHTS else queue


def signer_event_subject(name: IdentityName) -> str:
    """Return the subject on which workers publish whether they can sign for an identity."""
    return f"{ROOT}.event.signer.{validate_identity_name(name)}"


def publisher_event_subject(publisher: PublisherId) -> str:
    """Return the subject of the heartbeats of a publishing worker."""
    return f"{ROOT}.event.publisher.{validate_publisher_id(publisher)}"


def identity_job_events(name: IdentityName) -> str:
    """Return the wildcard of the events of all jobs of one identity."""
    return f"{ROOT}.event.job.{validate_identity_name(name)}.*"
