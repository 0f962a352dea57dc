"""The NATS subjects of contract v1: the only place that spells or reads one.

Authority is in the subject: NATS lets a user publish only where its permissions say, and a
worker takes the subnet or the identity of a request from the subject alone.
"""

import re
from dataclasses import dataclass
from typing import Final

from pylon_client.contract.types import (
    MECHANISM_MAX,
    NETUID_MAX,
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
)

CONTRACT_VERSION: Final = "v1"
ROOT: Final = f"pylon.{CONTRACT_VERSION}"

OPEN_USER: Final = "open"
WORKER_USER: Final = "worker"
BRIDGE_USER: Final = "bridge"
READER_USER: Final = "reader"
SERVER_USERS: Final = frozenset({WORKER_USER, READER_USER})
"""Users of the processes that answer requests: no request may have its reply sent to one of them.

They wait in their inboxes for JetStream, and readers for replays.
"""
RESERVED_USERS: Final = frozenset({OPEN_USER, WORKER_USER, BRIDGE_USER, READER_USER})

ALL_OPEN: Final = f"{ROOT}.open.>"
ALL_IDENTITIES: Final = f"{ROOT}.identity.>"
REPLAY_PREFIX: Final = f"{ROOT}.replay"
ALL_REPLAYS: Final = f"{REPLAY_PREFIX}.>"
"""Requests of readers for stored events; they have no JetStream API."""
ALL_EVENTS: Final = f"{ROOT}.event.>"
BLOCK_EVENTS: Final = f"{ROOT}.event.block"
ALL_NEURONS_EVENTS: Final = f"{ROOT}.event.neurons.*"
ALL_NEURONS_PARTS: Final = f"{ROOT}.event.neurons.*.part.*"
ALL_JOBS: Final = f"{ROOT}.job.>"
ALL_JOB_EVENTS: Final = f"{ROOT}.event.job.>"
ALL_SIGNER_EVENTS: Final = f"{ROOT}.event.signer.*"
"""Between workers alone: which identities they can sign for."""

CHAIN_TOKEN: Final = "chain"
CANCEL_TOKEN: Final = "cancel"
CANCELLATIONS: Final = (
    f"{ROOT}.open.{CHAIN_TOKEN}.{CANCEL_TOKEN}",
    f"{ROOT}.identity.*.{CANCEL_TOKEN}",
)
"""Where every worker receives that the sender of a request does not wait for it any more."""

_IDENTITY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_OPERATION = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_NETUID = re.compile(r"0|[1-9][0-9]{0,4}")
_PART = re.compile(r"[1-9][0-9]{0,5}")
_MECHANISM = re.compile(r"0|[1-9][0-9]?")
_JOB_ID = re.compile(r"[a-z2-7]{26}")


class InvalidSubjectError(ValueError):
    """A subject, or a part of one, that the contract does not know."""


def validate_identity_name(text: str) -> IdentityName:
    """The name of an identity: letters, digits, `_` and `-`, at most 63, not a reserved user.

    Raises:
        InvalidSubjectError: it could not stand as one token of a subject, or is reserved.
    """
    if not _IDENTITY_NAME.fullmatch(text) or text.lower() in RESERVED_USERS:
        raise InvalidSubjectError(
            f"{text!r} cannot name an identity: use letters, digits, '_' and '-', "
            f"and none of {', '.join(sorted(RESERVED_USERS))}"
        )
    return IdentityName(text)


def _parse_netuid(text: str) -> NetUid:
    if not _NETUID.fullmatch(text) or int(text) > NETUID_MAX:
        raise InvalidSubjectError(f"{text!r} is not a netuid")
    return NetUid(int(text))


def _validate_operation(text: str) -> str:
    if not _OPERATION.fullmatch(text):
        raise InvalidSubjectError(f"{text!r} is not an operation")
    return text


def validate_job_id(text: str) -> JobId:
    """The id of a job: 26 characters of lower-case base32.

    Raises:
        InvalidSubjectError: it is none.
    """
    if not _JOB_ID.fullmatch(text):
        raise InvalidSubjectError(f"{text!r} is not a job's id")
    return JobId(text)


def _parse_kind(text: str) -> JobKind:
    try:
        return JobKind(text)
    except ValueError:
        raise InvalidSubjectError(f"{text!r} is not a kind of job") from None


def _parse_mechanism(text: str) -> MechanismId:
    if not _MECHANISM.fullmatch(text) or int(text) > MECHANISM_MAX:
        raise InvalidSubjectError(f"{text!r} is not a mechanism")
    return MechanismId(int(text))


@dataclass(frozen=True, slots=True)
class OpenSubject:
    """A read by an open-access user, of one subnet or (netuid None) of the chain."""

    netuid: NetUid | None
    operation: str

    def __str__(self) -> str:
        place = CHAIN_TOKEN if self.netuid is None else str(_parse_netuid(str(self.netuid)))
        return f"{ROOT}.open.{place}.{_validate_operation(self.operation)}"


@dataclass(frozen=True, slots=True)
class IdentitySubject:
    """A read or a write of an identity, on the subnet that is configured for it."""

    identity: IdentityName
    operation: str

    def __str__(self) -> str:
        return f"{ROOT}.identity.{validate_identity_name(self.identity)}.{_validate_operation(self.operation)}"


@dataclass(frozen=True, slots=True)
class ReplaySubject:
    """A reader's request for stored events, of one subnet or (netuid None) of the chain."""

    netuid: NetUid | None
    operation: str

    def __str__(self) -> str:
        place = CHAIN_TOKEN if self.netuid is None else str(_parse_netuid(str(self.netuid)))
        return f"{REPLAY_PREFIX}.{place}.{_validate_operation(self.operation)}"


@dataclass(frozen=True, slots=True)
class BlockEventSubject:
    """Where every new block is published."""

    def __str__(self) -> str:
        return BLOCK_EVENTS


@dataclass(frozen=True, slots=True)
class NeuronsEventSubject:
    """Where the snapshots of one tracked subnet are published."""

    netuid: NetUid

    def __str__(self) -> str:
        return f"{ROOT}.event.neurons.{_parse_netuid(str(self.netuid))}"


@dataclass(frozen=True, slots=True)
class NeuronsPartSubject:
    """Where one part of a snapshot is kept that is too large for one message, counted from 1."""

    netuid: NetUid
    part: int

    def __str__(self) -> str:
        if self.part < 1:
            raise InvalidSubjectError(f"{self.part!r} is no part's number")
        return f"{NeuronsEventSubject(self.netuid)}.part.{self.part}"


@dataclass(frozen=True, slots=True)
class JobSubject:
    """Where the jobs of one lane queue: those of an identity, a kind and, for weights, a mechanism.

    `mechanism` is None for every kind but weights.
    """

    identity: IdentityName
    kind: JobKind
    mechanism: MechanismId | None = None

    def __str__(self) -> str:
        if (self.kind is JobKind.WEIGHTS) != (self.mechanism is not None):
            raise InvalidSubjectError("weights, and nothing else, are of a mechanism")
        lane = f"{ROOT}.job.{validate_identity_name(self.identity)}.{self.kind}"
        return lane if self.mechanism is None else f"{lane}.{_parse_mechanism(str(self.mechanism))}"


@dataclass(frozen=True, slots=True)
class JobEventSubject:
    """Where each change of one job's state is published."""

    identity: IdentityName
    job_id: JobId

    def __str__(self) -> str:
        return f"{ROOT}.event.job.{validate_identity_name(self.identity)}.{validate_job_id(self.job_id)}"


Subject = (
    OpenSubject
    | IdentitySubject
    | ReplaySubject
    | BlockEventSubject
    | NeuronsEventSubject
    | NeuronsPartSubject
    | JobSubject
    | JobEventSubject
)


def parse_subject(subject: str) -> Subject:
    """The parts of a subject; `str()` of the result is the same subject again.

    Raises:
        InvalidSubjectError: no subject of this contract.
    """
    match subject.split(".", 4):
        case ["pylon", "v1", "open" | "replay" as kind, place, operation]:
            subject_of = OpenSubject if kind == "open" else ReplaySubject
            netuid = None if place == CHAIN_TOKEN else _parse_netuid(place)
            return subject_of(netuid, _validate_operation(operation))
        case ["pylon", "v1", "identity", name, operation]:
            return IdentitySubject(validate_identity_name(name), _validate_operation(operation))
        case ["pylon", "v1", "event", *event]:
            return _parse_event(subject, event)
        case ["pylon", "v1", "job", name, lane]:
            return _parse_job_queue(name, lane)
        case _:
            raise InvalidSubjectError(f"{subject!r} is not a subject of contract v1")


def _parse_event(
    subject: str, event: list[str]
) -> BlockEventSubject | NeuronsEventSubject | NeuronsPartSubject | JobEventSubject:
    match event:
        case ["block"]:
            return BlockEventSubject()
        case ["neurons", rest]:
            return _parse_neurons_event(subject, rest)
        case ["job", rest]:
            name, _, last = rest.partition(".")
            return JobEventSubject(validate_identity_name(name), validate_job_id(last))
        case _:
            raise InvalidSubjectError(f"{subject!r} is not a subject of contract v1")


def _parse_neurons_event(subject: str, rest: str) -> NeuronsEventSubject | NeuronsPartSubject:
    match rest.split("."):
        case [netuid]:
            return NeuronsEventSubject(_parse_netuid(netuid))
        case [netuid, "part", number] if _PART.fullmatch(number):
            return NeuronsPartSubject(_parse_netuid(netuid), int(number))
        case _:
            raise InvalidSubjectError(f"{subject!r} is not a subject of contract v1")


def _parse_job_queue(name: str, lane: str) -> JobSubject:
    kind, dot, mechanism = lane.partition(".")
    parsed = JobSubject(
        validate_identity_name(name),
        _parse_kind(kind),
        _parse_mechanism(mechanism) if dot else None,
    )
    str(parsed)
    return parsed


def cancellation_subject(request: str) -> str | None:
    """Return where to publish that the sender of a request stopped waiting; None for others."""
    match request.split(".", 4):
        case ["pylon", "v1", "open", _, _]:
            return f"{ROOT}.open.{CHAIN_TOKEN}.{CANCEL_TOKEN}"
        case ["pylon", "v1", "identity", name, _]:
            return f"{ROOT}.identity.{name}.{CANCEL_TOKEN}"
        case _:
            return None


def inbox_prefix(user: str) -> str:
    """Under which subjects a NATS user receives its replies, without the trailing dot."""
    return f"_INBOX.{user}"


def identity_requests(name: IdentityName) -> str:
    """The wildcard over all requests of one identity."""
    return f"{ROOT}.identity.{validate_identity_name(name)}.>"


def requests_of_all_identities(operation: str) -> str:
    """Return the wildcard over the requests of all identities for one operation."""
    return f"{ROOT}.identity.*.{_validate_operation(operation)}"


def identity_jobs(name: IdentityName, kind: JobKind) -> str:
    """The wildcard over all jobs of one identity and kind, whatever their mechanism."""
    lane = f"{ROOT}.job.{validate_identity_name(name)}.{kind}"
    return f"{lane}.*" if kind is JobKind.WEIGHTS else lane


def signer_event_subject(name: IdentityName) -> str:
    """Return the subject on which workers say whether they can sign for an identity."""
    return f"{ROOT}.event.signer.{validate_identity_name(name)}"


def identity_job_events(name: IdentityName) -> str:
    """The wildcard over the events of all jobs of one identity."""
    return f"{ROOT}.event.job.{validate_identity_name(name)}.*"
