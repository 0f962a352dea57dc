import pytest

from pylon.chain.scale_decoding import ScaleReader, to_text
from pylon_client.contract.ss58 import is_address, ss58_address
from pylon_devnet.codec import ss58


@pytest.mark.parametrize(
    ("encoded", "number"),
    [
        ("00", 0),
        ("fc", 63),
        ("0101", 64),
        ("fdff", 16_383),
        ("02000100", 16_384),
        ("feffffff", 2**30 - 1),
        ("0300000040", 2**30),
        ("13ffffffffffffffff", 2**64 - 1),
    ],
)
def test_a_compact_number_is_read(encoded: str, number: int) -> None:
    scale = ScaleReader(bytes.fromhex(encoded))
    assert scale.read_compact() == number
    scale.require_end()


def test_values_follow_each_other() -> None:
    scale = ScaleReader(b"\x0cabc\x01\x02\x00\x00\x00")
    assert scale.read_byte_vector() == b"abc"
    assert scale.read_uint(1) == 1
    assert scale.read_uint(4) == 2
    scale.require_end()


@pytest.mark.parametrize("data", [b"", b"\x0cab", b"\x02\x00"])
def test_bytes_that_end_too_soon_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        ScaleReader(data).read_byte_vector()


def test_bytes_that_are_left_over_are_noticed() -> None:
    scale = ScaleReader(b"\x00\x00")
    scale.read_compact()
    with pytest.raises(ValueError, match="1 bytes are left over"):
        scale.require_end()


def test_text_is_text_and_other_bytes_are_hexadecimal() -> None:
    assert to_text("zażółć".encode()) == "zażółć"
    assert to_text(b"\xff") == "0xff"


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32, bytes(range(32))])
def test_an_address_is_the_one_that_the_chains_own_codec_makes(key: bytes) -> None:
    address = ss58_address(key)
    assert address == ss58(key)
    assert is_address(address)
