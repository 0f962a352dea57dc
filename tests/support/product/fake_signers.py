"""Hotkeys that cannot sign, their addresses, and a directory of running signers."""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

from pylon.jobs.signer_directory import SignerAnnouncement, SignerDirectory
from pylon_client.contract import json_codec
from pylon_client.contract.types import (
    Hotkey,
    IdentityName,
)


@dataclass(frozen=True)
class FakeSigner:
    """A hotkey that cannot sign."""

    number: int

    @property
    def public_key(self) -> bytes:
        return self.number.to_bytes(32)

    @property
    def ss58_address(self) -> str:
        return address(self.number)

    crypto_type: int = 1

    def sign(self, data: bytes) -> bytes:
        return data


def signers_of(*identities: IdentityName) -> SignerDirectory:
    """Return identities that all have a running signer."""
    directory = SignerDirectory(identities, grace_s=0, clock=lambda: 0.0)
    for identity in identities:
        directory.observe(identity, _announced())
    return directory


@cache
def _announced() -> bytes:
    return json_codec.encode(SignerAnnouncement(hotkey=address(1)))


@cache
def address(number: int) -> Hotkey:
    """Return the address of a key that is made of a number."""
    body = bytes([42]) + number.to_bytes(32)
    value = int.from_bytes(body + blake2b(b"SS58PRE" + body).digest()[:2])
    text = ""
    while value:
        value, digit = divmod(value, 58)
        text = _BASE58[digit] + text
    return Hotkey(text)


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
