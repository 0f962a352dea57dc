"""Requests are parsed into calls, or rejected with an error of the contract."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.rpc.call_parsing import parse_call
from pylon.rpc.calls import ServiceCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operation import NoParams, Operation, Params
from pylon_client.contract.reads import LATEST_NEURONS
from pylon_client.contract.topology import MAX_REQUEST_BYTES, MAX_SMALL_REQUEST_BYTES
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.contract.writes import GENERATE_CERTIFICATE, PUT_WEIGHTS, SET_COMMITMENT

TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), max_size=20)
IDENTITIES = {IdentityName("alice"): NetUid(1)}


def test_a_long_header_is_quoted_in_part() -> None:
    # Its control characters would be escaped, and so make a reply too large to be sent.
    headers = {"Pylon-Contract": "\x01" * 100_000}
    with pytest.raises(FailureError) as refused:
        parse_call("pylon.v1.open.1.neurons.latest", headers, b"", identities={})
    assert len(refused.value.failure.detail) < 1000


@pytest.mark.parametrize("believed", ["2", "01", "", "x" * 9000])
def test_a_caller_that_expects_another_subnet_is_rejected(believed: str) -> None:
    subject = f"pylon.v1.identity.alice.{LATEST_NEURONS.name}"
    with pytest.raises(FailureError) as refused:
        parse_call(subject, {"Pylon-Netuid": believed}, b"", identities=IDENTITIES)
    assert refused.value.code is ErrorCode.NETUID_MISMATCH
    assert "of subnet 1" in refused.value.failure.detail
    assert len(refused.value.failure.detail) < 200
    for headers in ({"Pylon-Netuid": "1"}, {}):
        assert parse_call(subject, headers, b"", identities=IDENTITIES).netuid == 1


@pytest.mark.parametrize(
    ("operation", "most_bytes"),
    [
        (LATEST_NEURONS, MAX_SMALL_REQUEST_BYTES),
        (SET_COMMITMENT, MAX_SMALL_REQUEST_BYTES),
        (PUT_WEIGHTS, MAX_REQUEST_BYTES),
    ],
)
def test_only_weights_may_be_large(operation: Operation[Params, Any], most_bytes: int) -> None:
    subject = f"pylon.v1.identity.alice.{operation.name}"

    def details(body: bytes) -> str:
        try:
            parse_call(subject, {}, body, identities=IDENTITIES)
        except FailureError as error:
            return error.failure.detail
        return ""

    assert "bytes" not in details(b"{}".ljust(most_bytes))
    assert f"the maximum is {most_bytes}" in details(b"{}".ljust(most_bytes + 1))


def timeout_s(headers: dict[str, str], waited_s: float = 0.0) -> float:
    subject = f"pylon.v1.open.1.{LATEST_NEURONS.name}"
    return parse_call(subject, headers, b"", identities={}, queued_s=waited_s).timeout_s


def test_the_timeout_counts_and_not_the_deadline_of_another_clock() -> None:
    for deadline in ("1", str(10**15)):
        assert timeout_s({"Pylon-Timeout": "2500", "Pylon-Deadline": deadline}) == 2.5
    assert timeout_s({"Pylon-Timeout": "999999999"}) == 300
    with pytest.raises(FailureError) as refused:
        timeout_s({"Pylon-Deadline": "1"})
    assert refused.value.code is ErrorCode.DEADLINE_EXCEEDED
    assert "its clock is behind" in refused.value.failure.detail


def test_the_time_in_the_queue_is_subtracted_from_the_timeout() -> None:
    assert timeout_s({"Pylon-Timeout": "2500"}, waited_s=2) == 0.5
    with pytest.raises(FailureError) as refused:
        timeout_s({"Pylon-Timeout": "2500"}, waited_s=2.5)
    assert refused.value.code is ErrorCode.DEADLINE_EXCEEDED
    assert "clock" not in refused.value.failure.detail


@pytest.mark.parametrize("timeout", ["", "-1", "1.5", "soon", "9" * 16, "\u0663"])
def test_a_timeout_that_is_not_a_number_of_milliseconds_is_rejected(timeout: str) -> None:
    with pytest.raises(FailureError) as refused:
        timeout_s({"Pylon-Timeout": timeout})
    assert refused.value.code is ErrorCode.INVALID
    assert "Pylon-Timeout" in refused.value.failure.detail


@given(
    subject=st.one_of(TEXT, st.builds("pylon.v1.{}.{}".format, TEXT, TEXT)),
    headers=st.dictionaries(
        st.sampled_from(["Pylon-Timeout", "Pylon-Deadline", "Pylon-Contract", "Pylon-Netuid"]), TEXT
    ),
    body=st.binary(max_size=100),
)
def test_any_message_is_a_call_or_an_error_of_the_contract(
    subject: str, headers: dict[str, str], body: bytes
) -> None:
    code = None
    try:
        parse_call(subject, headers, body, identities=IDENTITIES)
    except FailureError as error:
        code = error.code
    assert code in {
        None,
        ErrorCode.INVALID,
        ErrorCode.NOT_FOUND,
        ErrorCode.NETUID_MISMATCH,
        ErrorCode.DEADLINE_EXCEEDED,
    }


@pytest.mark.parametrize("key", ["x", "two words", "x" * 255, None])
def test_an_idempotency_key_is_used_unchanged(key: str | None) -> None:
    assert called_with(key).idempotency_key == key


@pytest.mark.parametrize("key", ["", " x", "x ", "two\nlines", "x\n", "\x7f", "é", "x" * 256])
def test_an_ambiguous_idempotency_key_is_rejected(key: str) -> None:
    with pytest.raises(FailureError, match="INVALID: The header Idempotency-Key"):
        called_with(key)


def called_with(key: str | None) -> ServiceCall:
    headers = {} if key is None else {"Idempotency-Key": key}
    subject = f"pylon.v1.identity.alice.{GENERATE_CERTIFICATE.name}"
    return parse_call(subject, headers, b"", identities=IDENTITIES)


def test_a_request_id_that_is_unsafe_to_log_is_replaced() -> None:
    for given_id in ("two\nlines", "", "x" * 129, "é"):
        headers = {"Pylon-Request-Id": given_id}
        call = parse_call("pylon.v1.open.1.neurons.latest", headers, b"", identities={})
        assert call.request_id != given_id
        assert len(call.request_id) == 16


def test_a_request_without_parameters_has_the_defaults_or_is_rejected() -> None:
    for body in (b"", b"{}"):
        call = parse_call("pylon.v1.open.1.neurons.latest", {}, body, identities={})
        assert call.params == NoParams()
        for _ in range(2):
            with pytest.raises(FailureError) as caught:
                parse_call("pylon.v1.open.1.neurons.at", {}, body, identities={})
            (item,) = caught.value.failure.extra
            assert item.key == "block_number"


def test_a_duplicate_hotkey_in_weights_is_rejected() -> None:
    hotkey = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
    body = b'{"weights": {"%s": 0.1, "%s": 0.9}}' % (hotkey.encode(), hotkey.encode())
    with pytest.raises(FailureError) as refused:
        parse_call("pylon.v1.identity.alice.weights.put", {}, body, identities=IDENTITIES)
    assert refused.value.code is ErrorCode.INVALID
    assert [item.key for item in refused.value.failure.extra] == [hotkey]
