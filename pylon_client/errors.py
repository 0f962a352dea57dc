"""Exceptions of the client, equal for all transports.

Invalid arguments and configurations raise `ValueError` or pydantic's `ValidationError` before
anything is sent.

BasePylonException
├── PylonRequestException       no response: the request or its response was lost
│   └── PylonTimeoutException   no response in time; `reason` is the step that timed out
│       └── PylonJobTimeoutException   a job has not ended in time; `job` is its last known state
├── PylonResponseException      Pylon replied with a failure
│   ├── PylonUnauthorized       401  no credentials
│   ├── PylonForbidden          403  invalid credentials, or no permission
│   ├── PylonNotFound           404  unknown block, subnet, identity…
│   ├── PylonNetuidMismatch     308  the identity has another subnet
│   ├── PylonRateLimited        429  too many requests, or a rate limit of the chain
│   ├── PylonBadGateway         502  the chain rejected the request, or cannot be reached
│   └── PylonUnavailable        503  a part of Pylon is down or shutting down
├── MtlsVerificationError       a miner's certificate does not match the chain
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
    """Base class of the client's exceptions.

    Attributes:
        detail: Pylon's description for people, if any.
        code: the failure's stable code, one of `ErrorCode` or of a newer service; None if the
            client raised the exception itself.
        status_code: the HTTP status, over NATS too; None without a response.
        retryable: whether the same request may succeed later.
        retry_at_block: the first block at which it may succeed, if the chain limits its rate.
        invalid: the errors in the request, if Pylon reported any.
    """

    detail: str | None = None
    code: str | None = None
    status_code: int | None = None
    retryable: bool = False
    retry_at_block: BlockNumber | None = None
    invalid: Sequence[InvalidItem] = ()


class PylonRequestException(BasePylonException):
    """The request or its response was lost."""

    retryable = True


class TimeoutReason(StrEnum):
    """The step of a request that timed out."""

    CONNECT = "connect"
    READ = "read"
    WRITE = "write"
    POOL = "pool"
    GATEWAY_TIMEOUT = "gateway_timeout"
    """Pylon reported the timeout itself."""
    JOB = "job"
    """The end of a job; the single requests may have succeeded."""


class PylonTimeoutException(PylonRequestException):
    """There was no response in time.

    Attributes:
        reason: the step that timed out.
        timeout_seconds: the timeout in seconds, if the client knows it.
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
        super().__init__(f"Pylon{at} did not reply in time ({reason}){within}{_because(detail)}")
        self.reason = reason
        self.timeout_seconds = timeout_seconds
        self.detail = detail
        self.code = code
        self.status_code = status_code
        self.retryable = retryable


class PylonJobTimeoutException(PylonTimeoutException):
    """A job has not ended in time; it continues, and the wait may be repeated.

    Attributes:
        job_id: the id of the job.
        job: the last known state of the job; None if it was never read.
    """

    def __init__(self, job_id: JobId, timeout_seconds: float, job: Job | None) -> None:
        seen = "was never read" if job is None else f"is {job.state}"
        super().__init__(
            TimeoutReason.JOB, timeout_seconds, f"job {job_id} {seen}, and may still end"
        )
        self.job_id = job_id
        self.job = job


class PylonResponseException(BasePylonException):
    """Pylon replied with a failure."""

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
            f"{message or 'Pylon rejected the request'}{status}{_because(detail)}{items}"
        )


class PylonUnauthorized(PylonResponseException):
    """The request requires credentials."""

    default_status_code = 401


class PylonForbidden(PylonResponseException):
    """The credentials are not valid, or do not allow the request."""

    default_status_code = 403


class PylonNotFound(PylonResponseException):
    """The requested object does not exist."""

    default_status_code = 404


class PylonNetuidMismatch(PylonResponseException):
    """The identity has another subnet than the request."""

    default_status_code = 308


class PylonRateLimited(PylonResponseException):
    """There are too many requests, or a rate limit of the chain applies: see `retry_at_block`."""

    default_status_code = 429


class PylonBadGateway(PylonResponseException):
    """The chain rejected the request or cannot be reached: see `retryable`."""

    default_status_code = 502


class PylonUnavailable(PylonResponseException):
    """A part of Pylon is down or shutting down."""

    default_status_code = 503


class PylonClosed(BasePylonException):
    """The client was used before it was opened or after it was closed."""


class MtlsVerificationError(BasePylonException):
    """A miner's certificate does not match the chain, or the miner does not speak TLS."""


class PylonMisconfigured(BasePylonException):
    """The client's configuration lacks a field that the call requires."""


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
    """Return the exception for an unsuccessful response of Pylon or of a proxy.

    Args:
        status_code: the HTTP status; None derives it from `code`.
        code: the stable code of the failure, if the response has one.
        detail: the description in the response.
        retryable: whether a retry may succeed; None derives it from the code or the status.
        retry_at_block: the first block at which a retry may succeed.
        invalid: the errors in the request.
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
