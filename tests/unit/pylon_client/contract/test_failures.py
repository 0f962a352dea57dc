import pytest

from pylon_client.contract import json_codec
from pylon_client.contract.failures import FAILURE_KINDS, ErrorCode, Failure, FailureError
from pylon_client.contract.types import BlockNumber


def test_every_code_has_a_kind() -> None:
    assert set(FAILURE_KINDS) == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_failure_survives_the_wire(code: ErrorCode) -> None:
    failure = FailureError(code, "why", retry_at_block=BlockNumber(7)).failure
    assert Failure.model_validate(json_codec.decode(json_codec.encode(failure.body()))) == failure
    assert failure.http_status == FAILURE_KINDS[code].http_status


def test_unset_fields_are_omitted_from_the_body() -> None:
    body = FailureError(ErrorCode.NOT_FOUND, "Block 7 not found.").failure.body()
    assert body == {"code": "NOT_FOUND", "detail": "Block 7 not found.", "retryable": False}
