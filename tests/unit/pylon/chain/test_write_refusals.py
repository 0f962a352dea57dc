import pytest
from bittensor import error_map
from bittensor._generated.errors import ERRORS
from bittensor.error_map import ErrorCode as SdkCode

from pylon.chain.write_port import RefusalKind
from pylon.chain.write_refusals import (
    MAX_REASON_CHARS,
    REFUSALS_BY_CODE,
    REFUSALS_BY_NAME,
    refusal_of,
)
from pylon_client.contract.failures import ErrorCode

KNOWN = {
    **{name: code.value for name, code in error_map.NAME_TO_CODE.items()},
    **{name: code.value for name, (code, _) in error_map.DISPATCH_ERRORS.items()},
}


def test_every_code_of_the_sdk_has_its_refusal() -> None:
    assert {code.value for code in SdkCode} == set(REFUSALS_BY_CODE)


def test_every_name_of_the_table_is_an_error_of_the_chain() -> None:
    assert set(REFUSALS_BY_NAME) <= {info.name for info in ERRORS.values()} | set(KNOWN)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_known_error_has_a_kind(name: str) -> None:
    refusal = refusal_of(name, KNOWN[name])
    assert name in refusal.detail
    if "RateLimit" in name or name == "SettingWeightsTooFast":
        assert (refusal.code, refusal.kind) == (ErrorCode.RATE_LIMITED, RefusalKind.RATE_LIMITED)


@pytest.mark.parametrize(
    "name", ["Stale", "AncientBirthBlock", "PriorityTooLow", "IncorrectWeightVersionKey"]
)
def test_a_refusal_that_a_new_signature_resolves_is_retried(name: str) -> None:
    assert refusal_of(name, KNOWN[name]).kind is RefusalKind.RETRY


def test_unknown_errors_are_retried() -> None:
    assert refusal_of("Invented", "unknown").kind is RefusalKind.RETRY
    assert refusal_of(None, "invented").kind is RefusalKind.RETRY


def test_an_error_without_a_name_is_reported_by_its_number() -> None:
    refusal = refusal_of(None, "invalid_argument", "Invalid Transaction: Custom error: 200")
    assert "Custom error: 200" in refusal.detail


def test_a_reason_is_one_short_line_without_addresses() -> None:
    reason = "refused by wss://user:key@node.example/secret\n" + "x" * 500
    detail = refusal_of(None, "invalid_argument", reason).detail
    assert "secret" not in detail
    assert "\n" not in detail
    assert len(detail) < MAX_REASON_CHARS + 100


def test_a_missing_mechanism_is_not_reported_as_a_missing_subnet() -> None:
    """The chain has one name for both, and the SDK one code."""
    refusal = refusal_of("MechanismDoesNotExist", KNOWN["MechanismDoesNotExist"])
    assert (refusal.code, refusal.kind) == (ErrorCode.NOT_FOUND, RefusalKind.FATAL)
    assert refusal.detail.startswith("The mechanism or the subnet does not exist.")
    missing = refusal_of("SubnetNotExists", KNOWN["SubnetNotExists"])
    assert missing.detail.startswith("The subnet does not exist.")
