"""ss58 addresses: base58 of a network prefix, a key and a checksum, as Substrate defines them."""

from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from pylon_client.contract.types import Hotkey

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_GENERIC_PREFIX: Final = 42
"""The network prefix of Bittensor's addresses, which begin with a 5."""
_KEY_BYTES: Final = 32
_CHECKSUM_BYTES: Final = 2
_MAX_TEXT: Final = 49
MAX_CACHED_ADDRESSES: Final = 32_768
"""Maximum number of cached checks of addresses: those of all subnets, about 4 MB.

Every write of a subnet's weights names the same hotkeys."""


def is_address(text: str) -> bool:
    """Return whether a text is the ss58 address of a 32-byte key with Bittensor's prefix."""
    # A leading 1 encodes a zero and would be a second spelling of the same address.
    if not text or len(text) > _MAX_TEXT or text.startswith("1"):
        return False
    return _has_key_and_checksum(text)


@lru_cache(maxsize=MAX_CACHED_ADDRESSES)
def _has_key_and_checksum(text: str) -> bool:
    number = 0
    for character in text:
        value = _DIGITS.get(character)
        if value is None:
            return False
        number = number * 58 + value
    try:
        data = number.to_bytes(1 + _KEY_BYTES + _CHECKSUM_BYTES, "big")
    except OverflowError:
        return False
    payload, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    return payload[0] == _GENERIC_PREFIX and checksum == _checksum(payload)


def ss58_address(public_key: bytes) -> str:
    """Return the ss58 address of a 32-byte key with Bittensor's prefix."""
    payload = bytes([_GENERIC_PREFIX]) + public_key
    number = int.from_bytes(payload + _checksum(payload), "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def validate_hotkey(text: Hotkey) -> Hotkey:
    """Return a hotkey if it is an ss58 address.

    Raises:
        ValueError: the text is not an ss58 address.
    """
    if not is_address(text):
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not an ss58 address")
    return text


def _checksum(payload: bytes) -> bytes:
    return blake2b(b"SS58PRE" + payload).digest()[:_CHECKSUM_BYTES]


_SCHEMA: Final = {"type": "string", "format": "ss58", "minLength": 48, "maxLength": 48}
"""JSON schema of an address; a pattern could not check the checksum."""

HotkeyField = Annotated[Hotkey, AfterValidator(validate_hotkey), WithJsonSchema(_SCHEMA)]
"""A hotkey in a request, validated as an ss58 address."""
