"""Public keys that neurons register for mutual TLS between validators and miners."""

from pydantic import ConfigDict, Field, RootModel

from pylon_client.contract.models.base import BittensorModel, OpenEnum
from pylon_client.contract.types import Hotkey, JobId, PrivateKey, PublicKey


class CertificateAlgorithm(OpenEnum):
    """The algorithm of a key; unknown numbers are accepted."""

    ED25519 = 1


class NeuronCertificate(BittensorModel):
    """The public key of a neuron, as 0x and hexadecimal digits."""

    algorithm: CertificateAlgorithm
    public_key: PublicKey


class NeuronCertificateKeypair(NeuronCertificate):
    """A new key pair; Pylon does not store the private key.

    Attributes:
        private_key: 0x and hexadecimal digits; `repr` omits it.
        job_id: the job that registers the public key on the chain.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    private_key: PrivateKey = Field(repr=False)
    job_id: JobId | None = None


class SubnetCertificates(RootModel[dict[Hotkey, NeuronCertificate]]):
    """The public keys of a subnet's neurons, by hotkey.

    Unreadable ones are omitted; a read of the single key returns the reason.
    """
