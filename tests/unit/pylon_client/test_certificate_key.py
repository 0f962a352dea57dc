"""The public key in a DER certificate."""

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from pylon_client.certificate_key import ed25519_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes_raw()
SPKI = KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)


def certificate_of(key: Any, *, name: str = "miner", hidden: bytes | None = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 7)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=1))
    )
    if hidden is not None:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.9.1"), hidden)
        builder = builder.add_extension(extension, critical=False)
    algorithm = None if isinstance(key, Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("name", ["m", "a name that needs more bytes " * 2])
def test_the_key_is_found_by_its_place(name: str) -> None:
    assert ed25519_key(certificate_of(KEY, name=name)) == RAW


def test_a_version_1_certificate_has_no_version_field() -> None:
    fields = b"\x02\x01\x07" + b"\x30\x00" * 4
    signed = _element(0x30, fields + SPKI)
    assert ed25519_key(_element(0x30, signed)) == RAW


def test_a_key_hidden_elsewhere_is_not_found() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    found = ed25519_key(certificate_of(other, hidden=SPKI))
    assert found == other.public_key().public_bytes_raw() != RAW


def test_another_algorithm_is_rejected() -> None:
    with pytest.raises(ValueError, match="not an Ed25519 key"):
        ed25519_key(certificate_of(generate_private_key(SECP256R1()), hidden=SPKI))


def test_a_truncated_certificate_is_rejected() -> None:
    whole = certificate_of(KEY)
    end = whole.index(SPKI) + len(SPKI)
    for length in range(end):
        with pytest.raises(ValueError, match="certificate"):
            ed25519_key(whole[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x31\x00",
        b"\x30\x80",
        b"\x30\x81\x05" + bytes(5),
        b"\x30\x82\x00\x80",
        b"\x30\x00",
    ],
    ids=["empty", "no length", "not a sequence", "indefinite", "long form", "leading zero", "bare"],
)
def test_anything_else_is_rejected(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        ed25519_key(data)


@pytest.mark.parametrize("length", [b"\x82\x00", b"\x83\x00\x00"])
def test_a_length_has_no_leading_zeros(length: bytes) -> None:
    fields = b"\x02\x01\x07" + b"\x30\x00" * 3 + _element(0x30, bytes(100))
    signed = _element(0x30, fields + SPKI)
    assert ed25519_key(_element(0x30, signed)) == RAW
    with pytest.raises(ValueError, match="not a certificate"):
        ed25519_key(b"\x30" + length + bytes([len(signed)]) + signed)


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    size = bytes([length]) if length < 0x80 else bytes([0x81, length])
    return bytes([tag]) + size + content
