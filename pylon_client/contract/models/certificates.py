"""Certificates that neurons announce, for mutual TLS between validators and miners."""

from enum import IntEnum
from typing import Self

from pydantic import RootModel

from pylon_client.contract.models.base import BittensorModel, unknown_member
from pylon_client.contract.types import Hotkey, PrivateKey, PublicKey


class CertificateAlgorithm(IntEnum):
    """The algorithm of a certificate's key; numbers that the chain adds are kept as they are."""

    ED25519 = 1

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return unknown_member(cls, value)


class NeuronCertificate(BittensorModel):
    """The public half of a neuron's key pair, as 0x and hexadecimal digits."""

    algorithm: CertificateAlgorithm
    public_key: PublicKey


class NeuronCertificateKeypair(NeuronCertificate):
    """A new key pair; the private half is told once and kept nowhere."""

    private_key: PrivateKey


class SubnetCertificates(RootModel[dict[Hotkey, NeuronCertificate]]):
    """The certificates of a subnet's neurons, by hotkey."""
