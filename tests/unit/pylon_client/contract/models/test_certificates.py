"""Key pairs hide their private key."""

import pytest

from pylon_client.transports.nats_transport import _Credential
from pylon_client.v1 import (
    CertificateAlgorithm,
    NeuronCertificateKeypair,
    PrivateKey,
    PublicKey,
)

KEY = "0x" + "5e" * 32


def test_private_keys_and_tokens_are_hidden_in_repr_and_errors() -> None:
    pair = NeuronCertificateKeypair(
        algorithm=CertificateAlgorithm.ED25519,
        public_key=PublicKey("0xab"),
        private_key=PrivateKey(KEY),
    )
    shown = f"{pair} {pair!r} {[pair]} {_Credential('sn1', KEY)!r}"
    assert "5e5e" not in shown
    assert pair.model_dump()["private_key"] == KEY
    with pytest.raises(ValueError, match="private_key") as caught:
        NeuronCertificateKeypair.model_validate(
            {"algorithm": 1, "public_key": "0xab", "private_key": [KEY]}
        )
    assert "5e5e" not in str(caught.value)
