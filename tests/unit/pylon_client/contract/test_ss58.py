import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pylon_client.contract.ss58 import HotkeyField, is_address, ss58_address, validate_hotkey
from pylon_client.contract.types import Hotkey
from pylon_devnet.codec import public_key, ss58


@given(st.binary(min_size=32, max_size=32))
def test_every_key_has_an_address(key: bytes) -> None:
    assert is_address(ss58(key))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 47), st.sampled_from("123abcXYZ"))
def test_a_changed_character_is_detected(key: bytes, place: int, character: str) -> None:
    address = ss58(key)
    changed = address[:place] + character + address[place + 1 :]
    assert is_address(changed) == (changed == address)


@given(st.text(alphabet="123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz5", max_size=60))
def test_addresses_match_the_sdks_codec(text: str) -> None:
    try:
        agreed = ss58(public_key(text)) == text
    except ValueError:
        agreed = False
    assert is_address(text) == agreed


@pytest.mark.parametrize("text", ["", "5", "0OIl", "5" * 500, "\N{SNOWMAN}"])
def test_other_texts_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not an ss58 address"):
        validate_hotkey(Hotkey(text))


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32])
def test_addresses_have_the_documented_length(key: bytes) -> None:
    schema = TypeAdapter(HotkeyField).json_schema()
    assert schema["minLength"] == len(ss58_address(key)) == schema["maxLength"]
