"""The certificates of neurons, as `serve_axon_tls` left them on the chain."""

from typing import Final

from pylon.chain.queries.storage_maps import HotkeyMap, hotkey_entries
from pylon.chain.query import Certificates, CertificatesOf
from pylon.chain.scale_decoding import Scale, hex_of
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import Block, CertificateAlgorithm, NeuronCertificate
from pylon_client.contract.types import Hotkey, PublicKey

NEURON_CERTIFICATES: Final = HotkeyMap(
    "SubtensorModule.NeuronCertificates",
    bytes.fromhex("658faa385070e074c85bf6b568cf0555805f1c4b7f54d8f4208070bfc777e2db"),
)


async def read_certificates(sdk: Sdk, question: CertificatesOf, block: Block) -> Certificates:
    """All certificates of a subnet's neurons."""
    values, skipped = await hotkey_entries(
        sdk, NEURON_CERTIFICATES, question.netuid, block, _certificate
    )
    return Certificates(block=block, certificates=values, skipped=skipped)


def _certificate(_hotkey: Hotkey, scale: Scale) -> NeuronCertificate:
    # `pallet_subtensor::NeuronCertificate`: the key as a bounded vector, then the algorithm.
    key = scale.octets()
    return NeuronCertificate(
        algorithm=CertificateAlgorithm(scale.unsigned(1)), public_key=PublicKey(hex_of(key))
    )
