"""Typed wrapper of the SDK's Rust codec, which has no type stubs.

This is the only module of the devnet that imports `bittensor_core`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import bittensor_core  # pyright: ignore[reportMissingTypeStubs] - wrapped here

from pylon_devnet.runtime.scale_encoding import encode_bytes

_core: Any = bittensor_core

SS58_FORMAT = 42
_KNOWN_ROUND = 1000
_KNOWN_SIGNATURE = (
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125"
    "e342b73a8dd2bacbe47e4b6b63ed5e39"
)
"""Signature of round 1000 of the drand quicknet."""
SR25519: int = _core.CRYPTO_SR25519
ED25519: int = _core.CRYPTO_ED25519


@dataclass(frozen=True, slots=True)
class StorageEntry:
    """Declaration of a storage item.

    Attributes:
        value_type: name of the value's type in the codec.
        optional: whether a missing value is None instead of `default`.
        default: SCALE bytes of the default value.
        key_count: number of keys of one value: 0 for a plain item.
    """

    value_type: str
    optional: bool
    default: bytes
    key_count: int


class Codec:
    """Encodes and decodes values with the types of one metadata blob.

    Values are plain Python: a struct is a dict, an enum `{"Variant": payload}` or `"Variant"`, an
    account an ss58 string, and a struct of one unnamed field is that field.

    Args:
        metadata: `MetadataVersioned` bytes.
        spec_version: spec version of the runtime; part of signed payloads.
        transaction_version: transaction version of the runtime; part of signed payloads.
    """

    def __init__(self, metadata: bytes, *, spec_version: int, transaction_version: int) -> None:
        self.metadata = metadata
        self.spec_version = spec_version
        self.transaction_version = transaction_version
        self._runtime: Any = _core.Runtime(metadata, spec_version, transaction_version, SS58_FORMAT)
        self._apis: dict[str, dict[str, Any]] = self._runtime.runtime_api_map()
        self._entries: dict[tuple[str, str], StorageEntry] = {}

    def encode(self, type_: str, value: Any) -> bytes:
        """Encode a value as SCALE bytes.

        Raises:
            ValueError: the value does not match the type.
        """
        return b"\x00" if value is None else bytes(self._runtime.encode(type_, value))

    def decode(self, type_: str, data: bytes) -> Any:
        """Decode SCALE bytes.

        Raises:
            ValueError: the bytes are not exactly one value of that type.
        """
        return self._runtime.decode(type_, data, True)

    def storage_entry(self, pallet: str, item: str) -> StorageEntry:
        """Return the declaration of a storage item.

        Raises:
            KeyError: the item is not declared.
        """
        known = self._entries.get((pallet, item))
        if known is None:
            entry: Any = self._runtime.storage_entry(pallet, item)
            known = StorageEntry(
                entry.value_type,
                entry.modifier == "Optional",
                bytes(entry.default_bytes),
                len(entry.param_types),
            )
            self._entries[pallet, item] = known
        return known

    def storage_key(self, pallet: str, item: str, params: Sequence[Any]) -> bytes:
        """Return the key of a value, or with fewer params the prefix of several keys."""
        return bytes(self._runtime.storage_key(pallet, item, list(params)))

    def storage_params(self, pallet: str, item: str, key: bytes) -> list[Any]:
        """Return the decoded map keys of a full storage key."""
        return list(self._runtime.decode_storage_key_params(pallet, item, key, 0))

    def has_api(self, api: str, method: str) -> bool:
        """Return whether the metadata declares a runtime API method."""
        return method in self._apis.get(api, {})

    def api_inputs(self, api: str, method: str, data: bytes) -> list[Any]:
        """Decode the arguments of a runtime API call.

        Raises:
            ValueError: the bytes do not match the method's input types.
        """
        types = [str(type_) for _, type_ in self._apis[api][method]["inputs"]]
        if not types:
            return []
        if len(types) == 1:
            return [self.decode(types[0], data)]
        return list(self.decode(f"({', '.join(types)})", data))

    def api_output(self, api: str, method: str, value: Any) -> bytes:
        """Encode the result of a runtime API call."""
        return self.encode(str(self._apis[api][method]["output"]), value)

    def compose_call(self, pallet: str, function: str, arguments: dict[str, Any]) -> bytes:
        """Encode a call as SCALE bytes."""
        return bytes(self._runtime.compose_call(pallet, function, arguments))

    def decode_call(self, data: bytes) -> dict[str, Any]:
        """Decode a call into `call_module`, `call_function` and `call_args`.

        Raises:
            ValueError: the bytes are not a call of this runtime.
        """
        return self._runtime.decode_call(data)

    def decode_extrinsic(self, data: bytes) -> dict[str, Any]:
        """Decode an extrinsic with length prefix.

        Raises:
            ValueError: the bytes are not an extrinsic of this runtime.
        """
        return self._runtime.decode_extrinsic(data, True)


def blake2b_256(data: bytes) -> bytes:
    """Return the BLAKE2b-256 hash, Substrate's default."""
    return blake2b(data, digest_size=32).digest()


def ss58(public_key: bytes) -> str:
    """Return the ss58 address of a public key in the generic Substrate format."""
    return str(_core.ss58_encode(public_key, SS58_FORMAT))


@lru_cache(10_000)
def public_key(address: str) -> bytes:
    """Return the 32-byte public key of an ss58 address.

    Raises:
        ValueError: the address is invalid.
    """
    return bytes(_core.ss58_decode(address))


def sr25519_address(seed: bytes) -> str:
    """Return the ss58 address of the sr25519 key pair of a 32-byte seed."""
    return str(_core.Keypair.create_from_seed(seed).ss58_address)


def verify(message: bytes, signature: bytes, address: str, crypto_type: int) -> bool:
    """Return whether a signature of a message by an address is valid."""
    return bool(_core.verify(message, signature, address, crypto_type))


def era_birth(period: int, current: int) -> int:
    """Return the birth block of a mortal era of `period` blocks that includes block `current`."""
    return int(_core.era_birth(period, current))


def is_ciphertext(data: bytes) -> bool:
    """Return whether bytes are a timelock ciphertext, without the SDK's portable envelope."""
    try:
        decrypt_timelock(data, _KNOWN_ROUND, bytes.fromhex(_KNOWN_SIGNATURE))
    except ValueError as error:
        # The library reports unreadable bytes and a wrong signature with different messages.
        return not str(error).startswith("Error deserializing")
    return True


def inner_ciphertext(envelope: bytes) -> bytes | None:
    """Return the ciphertext in the SDK's portable envelope, or None if there is no envelope."""
    try:
        return bytes(_core.inner_ciphertext(envelope))
    except ValueError:
        return None


def decrypt_timelock(ciphertext: bytes, drand_round: int, signature: bytes) -> bytes:
    """Decrypt a timelock ciphertext.

    Raises:
        ValueError: the bytes are not a ciphertext, or the signature does not match it.
    """
    envelope = encode_bytes(ciphertext) + drand_round.to_bytes(8, "little")
    return bytes(_core.decrypt_with_signature(envelope, signature.hex()))


def ciphertext_size(plaintext: bytes) -> int:
    """Return the size of the ciphertext of a plaintext, in bytes."""
    envelope, _ = _core.encrypt_at_round(plaintext, _KNOWN_ROUND)
    return len(_core.inner_ciphertext(envelope))


def keyfile(seed: bytes) -> bytes:
    """Return the unencrypted wallet keyfile of the sr25519 key pair of a seed."""
    return bytes(_core.serialized_keypair_to_keyfile_data(_core.Keypair.create_from_seed(seed)))


def public_keyfile(seed: bytes) -> bytes:
    """Return the public keyfile of the sr25519 key pair of a seed."""
    pair: Any = _core.Keypair.create_from_seed(seed)
    public: Any = _core.Keypair(ss58_address=pair.ss58_address, public_key=pair.public_key)
    return bytes(_core.serialized_keypair_to_keyfile_data(public))
