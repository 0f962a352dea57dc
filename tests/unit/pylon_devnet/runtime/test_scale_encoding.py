import pytest

from pylon_devnet.runtime.scale_encoding import (
    decode_compact,
    encode_bytes,
    encode_compact,
    encode_option,
    encode_str,
    encode_u32,
    encode_vector,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (63, "fc"),
        (64, "0101"),
        ((1 << 14) - 1, "fdff"),
        (1 << 14, "02000100"),
        ((1 << 30) - 1, "feffffff"),
        (1 << 30, "0300000040"),
        ((1 << 64) - 1, "13ffffffffffffffff"),
    ],
)
def test_compact_integers_match_the_scale_specification(value: int, encoded: str) -> None:
    data = bytes.fromhex(encoded)
    assert encode_compact(value) == data
    assert decode_compact(b"\xff" + data, 1) == (value, 1 + len(data))


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02\x00\x01", b"\x03\x00"])
def test_truncated_compact_integers_are_rejected(data: bytes) -> None:
    with pytest.raises(ValueError, match="compact integer"):
        decode_compact(data, 0)


def test_vectors_bytes_and_options_have_their_prefixes() -> None:
    assert encode_vector([b"a", b"bc"]) == b"\x08abc"
    assert encode_bytes(b"abc") == b"\x0cabc" == encode_str("abc")
    assert encode_option(None) == b"\x00"
    assert encode_option(b"a") == b"\x01a"
    assert encode_u32(258) == b"\x02\x01\x00\x00"
