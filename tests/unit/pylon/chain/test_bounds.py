"""Bounds of the numbers that a node reports."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.chain import bounds
from pylon.chain.bounds import ImplausibleError
from pylon.chain.faults import Recovery, describe_error, fault_of
from pylon_client.contract.failures import ErrorCode

HUGE = 16**4_000


def short_id(value: object) -> str:
    """An identifier of a test: pytest cannot show an integer of that length either."""
    return type(value).__name__


# The alphabet of `st.text()`, which takes seconds to find it on the first run.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("value", [-1, 2**32, HUGE, True, None, "5", 5.0, [5]], ids=short_id)
def test_a_block_number_is_an_integer_of_32_bits(value: Any) -> None:
    with pytest.raises(ImplausibleError):
        bounds.block_number(value)
    with pytest.raises(ImplausibleError):
        bounds.nonce(value)


@pytest.mark.parametrize("number", [0, 1, 2**32 - 1])
def test_a_number_within_its_bounds_is_returned(number: int) -> None:
    assert bounds.block_number(number) == number
    assert bounds.header_number({"number": hex(number)}) == number


@pytest.mark.parametrize(
    "number",
    ["0x" + "f" * 4_000, "f" * 4_000, "-0x5", "0x", "", "0x 5", "0x100000000", "12", 12, None],
)
def test_a_header_whose_number_is_not_hexadecimal_or_too_long_is_implausible(number: Any) -> None:
    with pytest.raises(ImplausibleError):
        bounds.header_number({"number": number})


@given(JSON)
def test_whatever_a_node_answers_is_bounded_or_implausible(value: Any) -> None:
    for parse in (
        bounds.block_number,
        bounds.header_number,
        bounds.timestamp_ms,
        bounds.block_hash,
        bounds.parent_hash,
        lambda one: bounds.header_number({"number": one}),
        lambda one: bounds.u64(one, "x"),
    ):
        text = ""
        try:
            parse(value)
        except ImplausibleError as error:
            text = str(error)
        assert len(text) < 200
        assert text.isprintable()


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e18, float("nan"), float("inf")])
def test_no_chain_has_such_a_block_time(seconds: float) -> None:
    with pytest.raises(ImplausibleError):
        bounds.block_time_s(seconds)


@pytest.mark.parametrize("error", [ImplausibleError("A number", HUGE), OverflowError("too large")])
def test_an_implausible_number_is_a_fault_of_the_node_that_passes(error: Exception) -> None:
    fault = fault_of(error)
    assert (fault.code, fault.recovery) == (ErrorCode.CHAIN_UNAVAILABLE, Recovery.RETRY)
    assert len(describe_error(error)) < 200


def test_a_header_contains_the_hash_of_the_parent() -> None:
    assert bounds.parent_hash({"parentHash": f"0x{7:064x}"}) == f"0x{7:064x}"
    for header in (None, {}, {"parentHash": "0x7"}, "0x7"):
        with pytest.raises(ImplausibleError, match="The hash of a block"):
            bounds.parent_hash(header)
