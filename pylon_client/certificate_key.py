"""The public key in an X.509 certificate, with a minimal DER parser.

The parser follows the structure (RFC 5280, section 4.1) instead of searching for the key's bytes,
which may also occur elsewhere in a certificate with another key.
"""

from typing import Final

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_LONG_FORM: Final = 0x80
_FIELDS_BEFORE_KEY: Final = 5
"""Serial number, signature algorithm, issuer, validity, subject."""
_ED25519: Final = bytes.fromhex("300506032b6570032100")
"""The bytes before an Ed25519 key (RFC 8410): its algorithm, and the header of the bit string."""
_KEY_BYTES: Final = 32


def ed25519_key(certificate: bytes) -> bytes:
    """Return the 32 bytes of the Ed25519 key in a DER certificate.

    Raises:
        ValueError: the bytes are not a certificate with an Ed25519 key.
    """
    _, whole, _ = _read_element(certificate, _SEQUENCE)
    _, signed, _ = _read_element(whole, _SEQUENCE)
    tag, _, rest = _read_element(signed)
    if tag != _VERSION:
        rest = signed
    for _ in range(_FIELDS_BEFORE_KEY):
        _, _, rest = _read_element(rest)
    _, key_info, _ = _read_element(rest, _SEQUENCE)
    if not key_info.startswith(_ED25519) or len(key_info) != len(_ED25519) + _KEY_BYTES:
        raise ValueError("the certificate's key is not an Ed25519 key")
    return key_info[len(_ED25519) :]


def _read_element(data: bytes, expected: int | None = None) -> tuple[int, bytes, bytes]:
    """Return the tag and the content of the first element of `data`, and the rest."""
    if len(data) < 2 or (expected is not None and data[0] != expected):  # noqa: PLR2004 - tag, length
        raise ValueError("not a certificate")
    length, start = data[1], 2
    if length >= _LONG_FORM:
        start += length - _LONG_FORM
        digits = data[2:start]
        length = int.from_bytes(digits, "big")
        if len(digits) != start - 2 or not digits or digits[0] == 0 or length < _LONG_FORM:
            raise ValueError("not a certificate")
    if len(data) < start + length:
        raise ValueError("not a certificate")
    return data[0], data[start : start + length], data[start + length :]
