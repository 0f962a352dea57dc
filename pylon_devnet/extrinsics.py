"""Parsing of signed extrinsics, and verification of their signatures."""

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
    """The bytes are not a signed extrinsic of this chain."""


@dataclass(frozen=True, slots=True)
class Era:
    """Validity of an extrinsic: unlimited without a period, else `period` blocks from a birth."""

    period: int | None
    phase: int = 0

    @classmethod
    def decode(cls, data: bytes) -> "Era":
        """Decode one zero byte, or two bytes with Substrate's encoding of period and phase."""
        if data[0] == 0:
            return cls(None)
        packed = int.from_bytes(data[:2], "little")
        period = 2 << packed % 16
        return cls(period, (packed >> 4) * max(period >> 12, 1))

    def birth(self, current: int) -> int:
        """Return the birth block of the era that includes block `current`; 0 if it is immortal."""
        if self.period is None:
            return 0
        since = max(current, self.phase) - self.phase
        return since // self.period * self.period + self.phase

    def death(self, current: int) -> int | None:
        """Return the first block after the era, or None if it is immortal."""
        return None if self.period is None else self.birth(current) + self.period


@dataclass(frozen=True, slots=True)
class ParsedExtrinsic:
    """A parsed signed extrinsic.

    Attributes:
        raw: all bytes, including the length prefix.
        hash: BLAKE2b-256 hash of `raw`.
        signer: ss58 address of the signer.
        crypto_type: crypto type of the signature.
        signature: the signature, 64 bytes.
        era: validity of the extrinsic.
        nonce: nonce of the signer.
        tip: increases the priority; it is not charged.
        call: SCALE bytes of the call.
        extra: SCALE bytes of the signed extensions.
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
        """Return whether the signature is valid for this runtime, chain and era."""
        versions = encode_u32(spec_version) + encode_u32(TRANSACTION_VERSION)
        additional = versions + genesis_hash + birth_hash + b"\x00"
        payload = self.call + self.extra + additional
        if len(payload) > _MAX_PAYLOAD_BYTES:
            payload = blake2b_256(payload)
        return verify(payload, self.signature, self.signer, self.crypto_type)


def parse_extrinsic(raw: bytes) -> ParsedExtrinsic:
    """Parse a signed extrinsic.

    Raises:
        MalformedExtrinsicError: it is unsigned, of another version, or truncated.
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
        raise ValueError("it is unsigned, or not of version 4")
    offset += 1
    if raw[offset] != _ID_ADDRESS:
        raise ValueError("the signer is not an account id")
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
