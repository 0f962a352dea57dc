"""Cutting calls into arguments, held against the codec that the SDK encodes with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon_devnet.codec import Codec
from pylon_devnet.runtime.runtime_metadata import TRANSACTION_VERSION, build_metadata
from pylon_devnet.runtime.scale_encoding import (
    decode_compact,
    encode_bytes,
    encode_compact,
    encode_vector,
)
from pylon_devnet.runtime.scale_slicing import Slicer

RUNTIME = build_metadata(12_000)
CODEC = Codec(
    RUNTIME.encoded,
    spec_version=RUNTIME.declaration.spec_version,
    transaction_version=TRANSACTION_VERSION,
)
SLICER = Slicer(RUNTIME.declaration)
U16, U64 = st.integers(0, 0xFFFF), st.integers(0, (1 << 64) - 1)
RAW = st.binary(max_size=64).map(lambda data: {f"Raw{len(data)}": data})
TIMELOCKED = st.builds(
    lambda data, at: {"TimelockEncrypted": {"encrypted": data, "reveal_round": at}},
    st.binary(max_size=300),
    U64,
)


def _weights(netuid: int, row: list[tuple[int, int]], version: int) -> bytes:
    miners, weights = [uid for uid, _ in row], [weight for _, weight in row]
    arguments = {"netuid": netuid, "dests": miners, "weights": weights, "version_key": version}
    return CODEC.compose_call("SubtensorModule", "set_weights", arguments)


WEIGHTS = st.builds(_weights, U16, st.lists(st.tuples(U16, U16), max_size=70), U64)


@given(fields=st.lists(RAW | TIMELOCKED | st.just("ResetBondsFlag"), max_size=3), netuid=U16)
def test_a_commitment_is_cut_out_as_it_was_signed(fields: list[Any], netuid: int) -> None:
    info = {"fields": fields}
    call = CODEC.compose_call("Commitments", "set_commitment", {"netuid": netuid, "info": info})
    parts = SLICER.arguments("Commitments", "set_commitment", call)
    assert call[:2] + parts["netuid"] + parts["info"] == call
    assert parts["netuid"] == netuid.to_bytes(2, "little")
    for data in (next(iter(one.values())) for one in fields if isinstance(one, dict)):
        assert (data["encrypted"] if isinstance(data, dict) else data) in parts["info"]


@given(calls=st.lists(WEIGHTS, max_size=5))
def test_a_batch_falls_apart_into_its_calls(calls: list[bytes]) -> None:
    batch = bytes([11, 0]) + encode_vector(calls)
    parts = SLICER.arguments("Utility", "batch", batch)
    assert SLICER.items("RuntimeCall", parts["calls"]) == calls
    assert [one["call_module"] for one in CODEC.decode_call(batch)["call_args"][0]["value"]] == [
        "SubtensorModule" for _ in calls
    ]


@given(call=WEIGHTS, cut=st.integers(1, 8))
def test_truncated_or_longer_data_is_rejected(call: bytes, cut: int) -> None:
    with pytest.raises(ValueError, match="ends"):
        SLICER.arguments("SubtensorModule", "set_weights", call[:-cut])
    with pytest.raises(ValueError, match="behind its last argument"):
        SLICER.arguments("SubtensorModule", "set_weights", call + b"\x00")


def test_a_variant_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="RuntimeCall has no variant 99"):
        SLICER.skip("RuntimeCall", b"\x63\x00", 0)


@given(number=st.integers(0, 1 << 300))
def test_compact_integers_of_any_size(number: int) -> None:
    encoded = encode_compact(number)
    assert decode_compact(b"?" + encoded, 1) == (number, 1 + len(encoded))
    if number < 1 << 128:
        assert CODEC.encode("Compact<u128>", number) == encoded


@given(data=st.binary(max_size=70_000 // 64))
def test_octets_are_a_vector_of_bytes(data: bytes) -> None:
    assert CODEC.encode("Vec<u8>", data) == encode_bytes(data)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02\x00", b"\x03\x00"])
def test_a_compact_integer_that_is_cut_short(data: bytes) -> None:
    with pytest.raises(ValueError, match="compact integer"):
        decode_compact(data, 0)
