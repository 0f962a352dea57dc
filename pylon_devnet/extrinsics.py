"""Extrinsics as they come over the wire: their parts, what was signed, and by whom."""

from dataclasses import dataclass

from pylon_devnet.codec import ED25519, SR25519, blake2b_256, ss58, verify
from pylon_devnet.runtime.runtime_metadata import EXTRINSIC_VERSION, TRANSACTION_VERSION
from pylon_devnet.runtime.scale_encoding import decode_compact, encode_u32

_SIGNED = 0x80
_ID_ADDRESS = 0
_CRYPTO_TYPES = {0: ED25519, 1: SR25519}
_SIGNATURE_BYTES = 64
_KEY_BYTES = 32
_MAX_PAYLOAD_BYTES = 256


class MalformedExtrinsicError(ValueError):
    """The bytes are not an extrinsic that this chain takes."""


@dataclass(frozen=True, slots=True)
class Era:
    """How long an extrinsic may wait: for ever (no period), or `period` blocks from a birth."""

    period: int | None
    phase: int = 0

    @classmethod
    def decode(cls, data: bytes) -> "Era":
        """From one zero byte, or two bytes as Substrate packs period and phase."""
        if data[0] == 0:
            return cls(None)
        packed = int.from_bytes(data[:2], "little")
        period = 2 << packed % 16
        return cls(period, (packed >> 4) * max(period >> 12, 1))

    def birth(self, current: int) -> int:
        """The block that the era began at, seen from block `current`; 0 when it lasts for ever."""
        if self.period is None:
            return 0
        since = max(current, self.phase) - self.phase
        return since // self.period * self.period + self.phase

    def death(self, current: int) -> int | None:
        """The first block that it is too late for, or None."""
        return None if self.period is None else self.birth(current) + self.period


@dataclass(frozen=True, slots=True)
class ParsedExtrinsic:
    """A signed extrinsic, cut into its parts.

    Attributes:
        raw: all of it, length prefix included.
        hash: blake2b-256 of `raw`.
        signer: address of the account that signs and pays.
        crypto_type: of the signature.
        signature: its 64 bytes.
        era: how long it may wait.
        nonce: its place among the signer's extrinsics.
        tip: raises its priority; it is not charged.
        call: the call's bytes.
        extra: the bytes of the signed extensions.
    """

    raw: bytes
    hash: bytes
    signer: str
    crypto_type: int
    signature: bytes
    era: Era
    nonce: int
    tip: int
    call: bytes
    extra: bytes

    def is_signed_for(self, spec_version: int, genesis_hash: bytes, birth_hash: bytes) -> bool:
        """Return whether the signature is good for this runtime, chain and era."""
        versions = encode_u32(spec_version) + encode_u32(TRANSACTION_VERSION)
        additional = versions + genesis_hash + birth_hash + b"\x00"
        payload = self.call + self.extra + additional
        if len(payload) > _MAX_PAYLOAD_BYTES:
            payload = blake2b_256(payload)
        return verify(payload, self.signature, self.signer, self.crypto_type)


def parse_extrinsic(raw: bytes) -> ParsedExtrinsic:
    """Cuts a signed extrinsic into its parts.

    Raises:
        MalformedExtrinsicError: it is not signed, or not of this version, or cut short.
    """
    try:
        return _parse(raw)
    except (ValueError, IndexError) as error:
        raise MalformedExtrinsicError(f"not an extrinsic of this chain: {error}") from error


def _parse(raw: bytes) -> ParsedExtrinsic:
    length, offset = decode_compact(raw, 0)
    if length != len(raw) - offset:
        raise ValueError("the length prefix is not the length")
    if raw[offset] != _SIGNED | EXTRINSIC_VERSION:
        raise ValueError("it is not signed, or not of version 4")
    offset += 1
    if raw[offset] != _ID_ADDRESS:
        raise ValueError("the signer is not named by its account")
    signer = ss58(raw[offset + 1 : offset + 1 + _KEY_BYTES])
    offset += 1 + _KEY_BYTES
    crypto_type = _CRYPTO_TYPES.get(raw[offset])
    if crypto_type is None:
        raise ValueError("the signature is neither sr25519 nor ed25519")
    signature = raw[offset + 1 : offset + 1 + _SIGNATURE_BYTES]
    offset += 1 + _SIGNATURE_BYTES
    start = offset
    era = Era.decode(raw[offset : offset + 2])
    offset += 1 if era.period is None else 2
    nonce, offset = decode_compact(raw, offset)
    tip, offset = decode_compact(raw, offset)
    if raw[offset] != 0:
        raise ValueError("it carries a metadata hash, which the devnet does not check")
    offset += 1
    return ParsedExtrinsic(
        raw=raw,
        hash=blake2b_256(raw),
        signer=signer,
        crypto_type=crypto_type,
        signature=signature,
        era=era,
        nonce=nonce,
        tip=tip,
        call=raw[offset:],
        extra=raw[start:offset],
    )
