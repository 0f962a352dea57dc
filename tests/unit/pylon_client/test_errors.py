"""Exceptions of the client, and the choice of one for a failure."""

import pytest

from pylon_client.contract.failures import FAILURE_KINDS, ErrorCode, InvalidItem
from pylon_client.contract.types import BlockNumber, JobId
from pylon_client.errors import (
    BasePylonException,
    PylonBadGateway,
    PylonForbidden,
    PylonJobTimeoutException,
    PylonNetuidMismatch,
    PylonNotFound,
    PylonRateLimited,
    PylonRequestException,
    PylonResponseException,
    PylonTimeoutException,
    PylonUnauthorized,
    PylonUnavailable,
    TimeoutReason,
    failure_exception,
)

CLASSES: dict[int, type[BasePylonException]] = {
    308: PylonNetuidMismatch,
    401: PylonUnauthorized,
    403: PylonForbidden,
    404: PylonNotFound,
    429: PylonRateLimited,
    502: PylonBadGateway,
    503: PylonUnavailable,
    504: PylonTimeoutException,
}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_the_exception_of_its_status(code: ErrorCode) -> None:
    kind = FAILURE_KINDS[code]
    error = failure_exception(None, code=code, detail="why")
    assert type(error) is CLASSES.get(kind.http_status, PylonResponseException)
    assert (error.code, error.detail) == (code, "why")
    assert (error.status_code, error.retryable) == (kind.http_status, kind.retryable)


@pytest.mark.parametrize(
    ("status", "expected", "retryable"),
    [
        (502, PylonBadGateway, True),
        (503, PylonUnavailable, True),
        (504, PylonTimeoutException, True),
        (404, PylonNotFound, False),
        (418, PylonResponseException, False),
        (500, PylonResponseException, None),
    ],
)
def test_a_proxys_response_has_a_status_only(
    status: int, expected: type[BasePylonException], *, retryable: bool | None
) -> None:
    error = failure_exception(status)
    assert type(error) is expected
    assert (error.status_code, error.code) == (status, None)
    if retryable is not None:
        assert error.retryable is retryable


def test_a_code_of_a_newer_service_is_kept() -> None:
    error = failure_exception(None, code="FROM_THE_FUTURE", detail="new")
    assert type(error) is PylonResponseException
    assert (error.status_code, error.code, error.detail) == (500, "FROM_THE_FUTURE", "new")


def test_what_the_service_says_about_retries_takes_precedence() -> None:
    for said in (True, False):
        error = failure_exception(502, code=ErrorCode.CHAIN_REJECTED, retryable=said)
        assert error.retryable is said


def test_a_rate_limit_names_the_first_allowed_block() -> None:
    error = failure_exception(429, code=ErrorCode.RATE_LIMITED, retry_at_block=BlockNumber(7))
    assert isinstance(error, PylonRateLimited)
    assert error.retry_at_block == 7


def test_a_text_names_status_detail_and_wrong_items() -> None:
    items = [InvalidItem(message="too large", key="netuid", source="path")]
    items.append(InvalidItem(message="not JSON", key="", source="body"))
    error = failure_exception(400, code=ErrorCode.INVALID, detail="wrong", invalid=items)
    assert str(error) == (
        "Pylon rejected the request (HTTP 400): wrong; netuid: too large; request: not JSON"
    )
    assert tuple(error.invalid) == tuple(items)
    assert str(PylonResponseException("it failed")) == "it failed"
    assert str(PylonNotFound()) == "Pylon rejected the request (HTTP 404)"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PylonTimeoutException(TimeoutReason.READ), "Pylon did not reply in time (read)"),
        (
            PylonTimeoutException(TimeoutReason.CONNECT, 2.5, "no route", address="nats://a"),
            "Pylon at nats://a did not reply in time (connect) after 2.5 s: no route",
        ),
        (
            PylonJobTimeoutException(JobId("j"), 60, None),
            "Pylon did not reply in time (job) after 60 s: job j was never read, and may still end",
        ),
    ],
)
def test_a_timeout_names_its_step(error: PylonTimeoutException, text: str) -> None:
    assert str(error) == text
    assert isinstance(error, PylonRequestException)
    assert error.retryable
