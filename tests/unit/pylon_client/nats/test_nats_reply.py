"""Successful and unsuccessful replies over NATS."""

import pytest

from pylon_client.contract import headers, json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from pylon_client.nats.nats_reply import Reply, raise_for_failure

FAILED = {headers.ERROR: "ANY", headers.SERVICE_ERROR_CODE: "418", headers.SERVICE_ERROR: "short"}


def test_a_successful_reply_is_returned() -> None:
    reply = Reply(b"{}", {})
    assert raise_for_failure(reply) is reply


def test_a_failure_is_raised_with_all_its_fields() -> None:
    failure = FailureError(ErrorCode.RATE_LIMITED, "later", retry_at_block=BlockNumber(7)).failure
    with pytest.raises(FailureError) as raised:
        raise_for_failure(Reply(json_codec.encode(failure.body()), FAILED))
    assert raised.value.failure == failure


def test_an_unknown_code_of_a_newer_service_is_kept() -> None:
    body = json_codec.encode({"code": "TEAPOT", "detail": "short and stout", "retryable": True})
    with pytest.raises(FailureError) as raised:
        raise_for_failure(Reply(body, FAILED))
    failure = raised.value.failure
    assert (failure.code, failure.name, failure.http_status) == (ErrorCode.INTERNAL, "TEAPOT", 418)
    assert failure.body()["code"] == "TEAPOT"


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"code": 5}'])
def test_an_unreadable_failure_has_the_text_of_the_header(body: bytes) -> None:
    with pytest.raises(FailureError) as raised:
        raise_for_failure(Reply(body, FAILED))
    assert raised.value.code is ErrorCode.INTERNAL
    assert raised.value.failure.detail == "short"
