"""Certificates that neurons announce, for mutual TLS between validators and miners."""

from pydantic import ConfigDict, Field, RootModel

from pylon_client.contract.models.base import BittensorModel, OpenEnum
from pylon_client.contract.types import Hotkey, JobId, PrivateKey, PublicKey


class CertificateAlgorithm(OpenEnum):
    """The algorithm of a certificate's key; numbers that the chain adds are kept as they are."""

    ED25519 = 1


class NeuronCertificate(BittensorModel):
    """The public half of a neuron's key pair, as 0x and hexadecimal digits."""

    algorithm: CertificateAlgorithm
    public_key: PublicKey


class NeuronCertificateKeypair(NeuronCertificate):
    """A new key pair; the private half is answered once and kept nowhere.

    Attributes:
        private_key: 0x and hexadecimal digits; `repr` leaves it out.
        job_id: of the job that puts the public half on the chain.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    private_key: PrivateKey = Field(repr=False)
    job_id: JobId | None = None


class SubnetCertificates(RootModel[dict[Hotkey, NeuronCertificate]]):
    """The certificates of a subnet's neurons, by hotkey.

    One that cannot be read is left out: whoever asks for it alone is told why.
    """
