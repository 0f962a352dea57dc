"""Every way a request can fail: a stable code, its HTTP status, and whether asking again helps."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from pylon_client.contract.types import BlockNumber

NEWER_CODE_MAX_CHARS: Final = 100
KEY_MAX_CHARS: Final = 128
"""Longest key that an item names, in characters."""


class ErrorCode(StrEnum):
    """The stable name of a failure; callers may branch on it, texts may change."""

    INVALID = "INVALID"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NETUID_MISMATCH = "NETUID_MISMATCH"
    RATE_LIMITED = "RATE_LIMITED"
    OVERLOADED = "OVERLOADED"
    CHAIN_REJECTED = "CHAIN_REJECTED"
    CHAIN_UNAVAILABLE = "CHAIN_UNAVAILABLE"
    NATS_UNAVAILABLE = "NATS_UNAVAILABLE"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    CHAIN_TIMEOUT = "CHAIN_TIMEOUT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    ARCHIVE_REQUIRED = "ARCHIVE_REQUIRED"
    UNDECODABLE = "UNDECODABLE"
    NO_RECENT_SNAPSHOT = "NO_RECENT_SNAPSHOT"
    MISCONFIGURED = "MISCONFIGURED"
    NOT_REGISTERED = "NOT_REGISTERED"
    NO_VALIDATOR_PERMIT = "NO_VALIDATOR_PERMIT"
    STAKE_TOO_LOW = "STAKE_TOO_LOW"
    CONFLICT = "CONFLICT"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    RUNTIME_UNSUPPORTED = "RUNTIME_UNSUPPORTED"
    WRONG_CHAIN = "WRONG_CHAIN"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FailureKind:
    """What follows from a code: its HTTP status and whether the same request may work later."""

    http_status: int
    retryable: bool


FAILURE_KINDS: dict[ErrorCode, FailureKind] = {
    ErrorCode.INVALID: FailureKind(400, retryable=False),
    ErrorCode.UNAUTHENTICATED: FailureKind(401, retryable=False),
    ErrorCode.FORBIDDEN: FailureKind(403, retryable=False),
    ErrorCode.NOT_FOUND: FailureKind(404, retryable=False),
    ErrorCode.METHOD_NOT_ALLOWED: FailureKind(405, retryable=False),
    ErrorCode.NETUID_MISMATCH: FailureKind(308, retryable=False),
    ErrorCode.RATE_LIMITED: FailureKind(429, retryable=True),
    ErrorCode.OVERLOADED: FailureKind(429, retryable=True),
    ErrorCode.CHAIN_REJECTED: FailureKind(502, retryable=False),
    ErrorCode.CHAIN_UNAVAILABLE: FailureKind(502, retryable=True),
    ErrorCode.NATS_UNAVAILABLE: FailureKind(503, retryable=True),
    ErrorCode.SHUTTING_DOWN: FailureKind(503, retryable=True),
    ErrorCode.CHAIN_TIMEOUT: FailureKind(504, retryable=True),
    ErrorCode.DEADLINE_EXCEEDED: FailureKind(504, retryable=True),
    ErrorCode.ARCHIVE_REQUIRED: FailureKind(502, retryable=False),
    ErrorCode.UNDECODABLE: FailureKind(502, retryable=False),
    ErrorCode.NO_RECENT_SNAPSHOT: FailureKind(503, retryable=True),
    ErrorCode.MISCONFIGURED: FailureKind(503, retryable=False),
    # How a job ended, told to a caller that waited for it. None of these is a 504: clients repeat
    # a request that got one, and a job that has ended is not joined but made again.
    ErrorCode.NOT_REGISTERED: FailureKind(502, retryable=False),
    ErrorCode.NO_VALIDATOR_PERMIT: FailureKind(502, retryable=False),
    ErrorCode.STAKE_TOO_LOW: FailureKind(502, retryable=False),
    ErrorCode.CONFLICT: FailureKind(409, retryable=False),
    ErrorCode.EXPIRED: FailureKind(502, retryable=False),
    ErrorCode.SUPERSEDED: FailureKind(409, retryable=False),
    ErrorCode.CANCELLED: FailureKind(409, retryable=False),
    ErrorCode.OUTCOME_UNKNOWN: FailureKind(502, retryable=False),
    ErrorCode.RUNTIME_UNSUPPORTED: FailureKind(502, retryable=False),
    ErrorCode.WRONG_CHAIN: FailureKind(502, retryable=False),
    ErrorCode.INTERNAL: FailureKind(500, retryable=False),
}


class InvalidItem(BaseModel):
    """One thing that is wrong with a request: what, and at which key."""

    message: str
    key: str | None = None
    source: str | None = None


def duplicate_key_item(key: str) -> InvalidItem:
    """Return what is wrong where a body has a key twice."""
    return InvalidItem(
        message="The key appears more than once", key=key[:KEY_MAX_CHARS], source="body"
    )


class Failure(BaseModel):
    """The body of a reply that says why there is no answer.

    `detail` is for people and holds nothing secret. `retry_at_block` says from which block on
    the same request may be taken, where the chain makes one wait.
    """

    model_config = ConfigDict(frozen=True)

    code: ErrorCode
    detail: str
    retryable: bool
    retry_at_block: BlockNumber | None = None
    extra: list[InvalidItem] = Field(default_factory=list[InvalidItem])

    @property
    def name(self) -> str:
        """The code as callers are told it."""
        return self.code.value

    @property
    def http_status(self) -> int:
        """The status under which REST answers this failure."""
        return FAILURE_KINDS[self.code].http_status

    def body(self) -> dict[str, Any]:
        """The failure as the JSON object of a NATS reply; what is not set is left out."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


class NewerFailure(Failure):
    """A failure of a newer service, whose code is not known here: it counts as INTERNAL.

    Attributes:
        newer_code: the code that the service told, which callers are told as well.
        newer_status: the status that the service told.
    """

    code: ErrorCode = ErrorCode.INTERNAL
    newer_code: str = Field(max_length=NEWER_CODE_MAX_CHARS, exclude=True)
    newer_status: int = Field(ge=400, le=599, exclude=True)

    @property
    def name(self) -> str:
        """The code as callers are told it."""
        return self.newer_code

    @property
    def http_status(self) -> int:
        """The status under which REST answers this failure."""
        return self.newer_status

    def body(self) -> dict[str, Any]:
        """The failure as the service told it."""
        return {**super().body(), "code": self.newer_code}


class FailureError(Exception):
    """Raised where a request cannot be answered; carries the failure that the caller gets."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        retry_at_block: BlockNumber | None = None,
        extra: list[InvalidItem] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.failure = Failure(
            code=code,
            detail=detail,
            retryable=FAILURE_KINDS[code].retryable,
            retry_at_block=retry_at_block,
            extra=extra or [],
        )

    @classmethod
    def from_failure(cls, failure: Failure) -> Self:
        """What raises a failure that is there already."""
        error = cls(failure.code, failure.detail)
        error.failure = failure
        return error

    @property
    def code(self) -> ErrorCode:
        """The failure's stable code."""
        return self.failure.code
