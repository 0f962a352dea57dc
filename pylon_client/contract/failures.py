"""All failures of requests: a stable code, the HTTP status, and whether a retry may succeed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from pylon_client.contract.types import BlockNumber

MAX_NEWER_CODE_CHARS: Final = 100
MAX_KEY_CHARS: Final = 128
"""Maximum length of the key in an item, in characters."""


class ErrorCode(StrEnum):
    """Stable codes of failures. Callers may depend on them; texts may change."""

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
    """The HTTP status of a code, and whether the same request may succeed later."""

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
    # Results of jobs, for callers that waited for the end. None of them is a 504: clients retry a
    # 504, and a retry after the end of a job creates another job.
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
    """One error in a request: a message, and the key that it is about."""

    message: str
    key: str | None = None
    source: str | None = None


def duplicate_key_item(key: str) -> InvalidItem:
    """Return the item for a key that a body contains more than once."""
    return InvalidItem(
        message="The key appears more than once", key=key[:MAX_KEY_CHARS], source="body"
    )


class Failure(BaseModel):
    """The body of an unsuccessful reply.

    `detail` is for people and contains no secret. `retry_at_block` is the first block at which the
    same request may succeed, if a limit of the chain prevents it now.
    """

    model_config = ConfigDict(frozen=True)

    code: ErrorCode
    detail: str
    retryable: bool
    retry_at_block: BlockNumber | None = None
    extra: list[InvalidItem] = Field(default_factory=list[InvalidItem])

    @property
    def name(self) -> str:
        """Return the code as callers see it."""
        return self.code.value

    @property
    def http_status(self) -> int:
        """Return the HTTP status of this failure."""
        return FAILURE_KINDS[self.code].http_status

    def body(self) -> dict[str, Any]:
        """Return the failure as the JSON object of a NATS reply, without unset fields."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


class UnknownCodeFailure(Failure):
    """A failure of a newer service with an unknown code; it counts as INTERNAL.

    Attributes:
        newer_code: the code in the reply, which callers see.
        newer_status: the HTTP status in the reply.
    """

    code: ErrorCode = ErrorCode.INTERNAL
    newer_code: str = Field(max_length=MAX_NEWER_CODE_CHARS, exclude=True)
    newer_status: int = Field(ge=400, le=599, exclude=True)

    @property
    def name(self) -> str:
        """Return the code as callers see it."""
        return self.newer_code

    @property
    def http_status(self) -> int:
        """Return the HTTP status of this failure."""
        return self.newer_status

    def body(self) -> dict[str, Any]:
        """Return the failure with its unknown code."""
        return {**super().body(), "code": self.newer_code}


class FailureError(Exception):
    """A request failed; `failure` is the failure for the caller."""

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
        """Return an error with an existing failure."""
        error = cls(failure.code, failure.detail)
        error.failure = failure
        return error

    @property
    def code(self) -> ErrorCode:
        """Return the stable code of the failure."""
        return self.failure.code
