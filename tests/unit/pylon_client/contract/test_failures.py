import pytest

from pylon_client.contract import headers, wire
from pylon_client.contract.failures import FAILURE_KINDS, ErrorCode, Failure, FailureError
from pylon_client.contract.types import BlockNumber


def test_every_code_has_a_kind() -> None:
    assert set(FAILURE_KINDS) == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_failure_survives_the_wire(code: ErrorCode) -> None:
    failure = FailureError(code, "why", retry_at_block=BlockNumber(7)).failure
    assert Failure.model_validate(wire.decode(wire.encode(failure.body()))) == failure
    assert failure.http_status == FAILURE_KINDS[code].http_status


def test_what_is_not_set_is_left_out_of_the_body() -> None:
    body = FailureError(ErrorCode.NOT_FOUND, "Block 7 not found.").failure.body()
    assert body == {"code": "NOT_FOUND", "detail": "Block 7 not found.", "retryable": False}


def test_a_deadline_header_tells_the_seconds_that_are_left() -> None:
    assert 59 < headers.seconds_left(headers.encode_deadline(60)) <= 60
    assert headers.seconds_left(headers.encode_deadline(-5)) < 0
    with pytest.raises(ValueError, match="invalid literal"):
        headers.seconds_left("soon")


def test_a_timeout_header_survives_the_wire_and_is_never_rounded_down() -> None:
    assert headers.decode_timeout(headers.encode_timeout(2.5)) == 2.5
    assert headers.encode_timeout(0.0001) == "1"
    assert headers.encode_timeout(-1) == "0"
