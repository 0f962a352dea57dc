"""Certificates of neurons, as stored by `serve_axon_tls`."""

from dataclasses import dataclass
from typing import Final

from pylon.chain.queries.storage_maps import HotkeyStorageMap, read_hotkey_entries
from pylon.chain.query import Query
from pylon.chain.scale_decoding import ScaleReader, to_hex
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import Block, CertificateAlgorithm, Collection, NeuronCertificate
from pylon_client.contract.types import Hotkey, NetUid, PublicKey

NEURON_CERTIFICATES: Final = HotkeyStorageMap(
    "SubtensorModule.NeuronCertificates",
    bytes.fromhex("658faa385070e074c85bf6b568cf0555805f1c4b7f54d8f4208070bfc777e2db"),
)


class Certificates(Collection):
    """The certificates of a subnet's neurons, by hotkey."""

    certificates: dict[Hotkey, NeuronCertificate]


@dataclass(frozen=True, slots=True)
class CertificatesOf(Query[Certificates]):
    """All certificates of the neurons of a subnet."""

    netuid: NetUid

    async def execute(self, sdk: Sdk, block: Block) -> Certificates:
        """Return all certificates of the neurons of a subnet."""
        values, skipped = await read_hotkey_entries(
            sdk, NEURON_CERTIFICATES, self.netuid, block, _decode_certificate
        )
        return Certificates(block=block, certificates=values, skipped=skipped)


def _decode_certificate(_hotkey: Hotkey, scale: ScaleReader) -> NeuronCertificate:
    # `pallet_subtensor::NeuronCertificate`: the key as a bounded vector, then the algorithm.
    key = scale.read_byte_vector()
    return NeuronCertificate(
        algorithm=CertificateAlgorithm(scale.read_uint(1)), public_key=PublicKey(to_hex(key))
    )
