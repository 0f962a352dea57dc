"""What the client raises about Pylon, about itself and about miners, whichever transport it has.

An argument or a configuration that cannot be one raises `ValueError`, pydantic's `ValidationError`,
before anything is sent.

BasePylonException
├── PylonRequestException       no answer: the request or its answer did not get through
│   └── PylonTimeoutException   no answer in time; `reason` says what was waited for
│       └── PylonJobTimeoutException   a job that is waited for goes on; `job` is as last seen
├── PylonResponseException      Pylon answered that it will not, or cannot
│   ├── PylonUnauthorized       401  no credentials
│   ├── PylonForbidden          403  credentials that do not allow this
│   ├── PylonNotFound           404  no such block, subnet, identity…
│   ├── PylonNetuidMismatch     308  the identity is for another subnet
│   ├── PylonRateLimited        429  too many requests, or too soon for the chain
│   ├── PylonBadGateway         502  the chain refused, or cannot be reached
│   └── PylonUnavailable        503  a part of Pylon is down or going down
├── MtlsVerificationError       a miner is not the one that the chain knows
├── PylonClosed                 the client is not open
└── PylonMisconfigured          the client's configuration does not allow this call
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from pylon_client.contract.failures import FAILURE_KINDS, ErrorCode, InvalidItem
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import BlockNumber, JobId


class BasePylonException(Exception):  # noqa: N818 - the published name
    """Whatever the client raises by itself.

    Attributes:
        detail: what Pylon said about it, for people; None when it said nothing.
        code: the failure's stable code, one of `ErrorCode` or a newer service's; None when
            the exception arose in the client.
        status_code: the HTTP status that stands for it, over NATS too; None without an answer.
        retryable: whether the same request may work when it is sent again.
        retry_at_block: from which block on it may, where the chain makes one wait.
        invalid: what is wrong with the request, item by item, where Pylon said so.
    """

    detail: str | None = None
    code: str | None = None
    status_code: int | None = None
    retryable: bool = False
    retry_at_block: BlockNumber | None = None
    invalid: Sequence[InvalidItem] = ()


class PylonRequestException(BasePylonException):
    """The request, or the answer to it, did not get through."""

    retryable = True


class TimeoutReason(StrEnum):
    """What was waited for when the time was over."""

    CONNECT = "connect"
    READ = "read"
    WRITE = "write"
    POOL = "pool"
    GATEWAY_TIMEOUT = "gateway_timeout"
    """Pylon itself gave up in time and said so."""
    JOB = "job"
    """The end of a job; everything that was asked may have been answered in time."""


class PylonTimeoutException(PylonRequestException):
    """No answer in time.

    Attributes:
        reason: what was waited for.
        timeout_seconds: for how long, where the client knows.
    """

    def __init__(
        self,
        reason: TimeoutReason,
        timeout_seconds: float | None = None,
        detail: str | None = None,
        *,
        code: str | None = None,
        status_code: int | None = None,
        retryable: bool = True,
        address: str | None = None,
    ) -> None:
        at = "" if address is None else f" at {address}"
        within = "" if timeout_seconds is None else f" after {timeout_seconds:g} s"
        super().__init__(f"Pylon{at} did not answer in time ({reason}){within}{_because(detail)}")
        self.reason = reason
        self.timeout_seconds = timeout_seconds
        self.detail = detail
        self.code = code
        self.status_code = status_code
        self.retryable = retryable


class PylonJobTimeoutException(PylonTimeoutException):
    """A job had not ended when the time to wait for it was over; it goes on, and so may waiting.

    Attributes:
        job_id: of the job.
        job: as it was when it was last seen; None where it was never seen.
    """

    def __init__(self, job_id: JobId, timeout_seconds: float, job: Job | None) -> None:
        seen = "has not been seen" if job is None else f"is {job.state}"
        super().__init__(
            TimeoutReason.JOB, timeout_seconds, f"job {job_id} {seen}, and may still end"
        )
        self.job_id = job_id
        self.job = job


class PylonResponseException(BasePylonException):
    """Pylon answered that it will not, or cannot, do what was asked."""

    default_status_code: ClassVar[int | None] = None

    def __init__(
        self,
        message: str | None = None,
        status_code: int | None = None,
        detail: str | None = None,
        *,
        code: str | None = None,
        retryable: bool = False,
        retry_at_block: BlockNumber | None = None,
        invalid: Sequence[InvalidItem] = (),
    ) -> None:
        self.status_code = self.default_status_code if status_code is None else status_code
        self.detail = detail
        self.code = code
        self.retryable = retryable
        self.retry_at_block = retry_at_block
        self.invalid = tuple(invalid)
        status = "" if self.status_code is None else f" (HTTP {self.status_code})"
        items = "".join(f"; {item.key or 'request'}: {item.message}" for item in self.invalid)
        super().__init__(
            f"{message or 'Pylon refused the request'}{status}{_because(detail)}{items}"
        )


class PylonUnauthorized(PylonResponseException):
    """The request carried no credentials and needs some."""

    default_status_code = 401


class PylonForbidden(PylonResponseException):
    """The credentials are wrong, or do not allow what was asked."""

    default_status_code = 403


class PylonNotFound(PylonResponseException):
    """What was asked for does not exist."""

    default_status_code = 404


class PylonNetuidMismatch(PylonResponseException):
    """The identity is configured for another subnet than the request named."""

    default_status_code = 308


class PylonRateLimited(PylonResponseException):
    """Too many requests, or sooner than the chain allows: see `retry_at_block`."""

    default_status_code = 429


class PylonBadGateway(PylonResponseException):
    """The chain refused the request or cannot be reached: see `retryable`."""

    default_status_code = 502


class PylonUnavailable(PylonResponseException):
    """A part of Pylon is down, or going down, and cannot take the request now."""

    default_status_code = 503


class PylonClosed(BasePylonException):
    """The client was used before it was opened or after it was closed."""


class MtlsVerificationError(BasePylonException):
    """A miner does not show the certificate whose key the chain has, or does not speak TLS."""


class PylonMisconfigured(BasePylonException):
    """The call needs something that the client's configuration does not have."""


_GATEWAY_TIMEOUT = 504
_RETRYABLE_STATUSES = frozenset(
    kind.http_status for kind in FAILURE_KINDS.values() if kind.retryable
)
_BY_STATUS: dict[int, type[PylonResponseException]] = {
    kind.default_status_code: kind
    for kind in (
        PylonUnauthorized,
        PylonForbidden,
        PylonNotFound,
        PylonNetuidMismatch,
        PylonRateLimited,
        PylonBadGateway,
        PylonUnavailable,
    )
    if kind.default_status_code is not None
}


def failure_exception(
    status_code: int | None,
    *,
    code: str | None = None,
    detail: str | None = None,
    retryable: bool | None = None,
    retry_at_block: BlockNumber | None = None,
    invalid: Sequence[InvalidItem] = (),
) -> BasePylonException:
    """The exception for a failure that Pylon, or a proxy before it, answered with.

    Args:
        status_code: the HTTP status; None takes it from `code`.
        code: the failure's stable code, if the answer has one.
        detail: what the answer says about it.
        retryable: what the answer says; None decides by code, or else by status.
        retry_at_block: what the answer says.
        invalid: what the answer says is wrong with the request.
    """
    known = FAILURE_KINDS[ErrorCode(code)] if code in _CODES else None
    if status_code is None:
        status_code = 500 if known is None else known.http_status
    if retryable is None:
        retryable = status_code in _RETRYABLE_STATUSES if known is None else known.retryable
    if status_code == _GATEWAY_TIMEOUT:
        return PylonTimeoutException(
            TimeoutReason.GATEWAY_TIMEOUT,
            detail=detail,
            code=code,
            status_code=status_code,
            retryable=retryable,
        )
    return _BY_STATUS.get(status_code, PylonResponseException)(
        status_code=status_code,
        detail=detail,
        code=code,
        retryable=retryable,
        retry_at_block=retry_at_block,
        invalid=invalid,
    )


_CODES = frozenset(map(str, ErrorCode))


def _because(detail: str | None) -> str:
    return f": {detail}" if detail else ""
