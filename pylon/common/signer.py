"""The interface of a hotkey that signs extrinsics."""

from typing import Protocol


class Signer(Protocol):
    """A hotkey that can sign; a key pair of the SDK is one."""

    @property
    def ss58_address(self) -> str:
        """Return the hotkey's address."""
        ...

    @property
    def public_key(self) -> bytes:
        """Return the hotkey's public key, 32 bytes."""
        ...

    @property
    def crypto_type(self) -> int:
        """Return the kind of signature, in the SDK's numbering."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data`."""
        ...
