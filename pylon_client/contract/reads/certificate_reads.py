"""The reads of what neurons have registered: certificates and EVM addresses."""

from typing import Final

from pylon_client.contract.models import (
    NeuronCertificate,
    SubnetCertificates,
    SubnetEvmAssociations,
)
from pylon_client.contract.operation import NoParams, Operation
from pylon_client.contract.reads.read_params import HotkeyParams

CERTIFICATES: Final = Operation(
    name="certificates.latest",
    summary="The certificates of a subnet's neurons",
    params=NoParams,
    reply=SubnetCertificates,
    path="/block/latest/certificates",
)
CERTIFICATE: Final = Operation(
    name="certificates.of",
    summary="The certificate of a hotkey",
    params=HotkeyParams,
    reply=NeuronCertificate,
    path="/block/latest/certificates/{hotkey}",
)
OWN_CERTIFICATE: Final = Operation(
    name="certificates.self",
    summary="The certificate of the identity's hotkey",
    params=NoParams,
    reply=NeuronCertificate,
    path="/block/latest/certificates/self",
    identity_only=True,
)
EVM_ASSOCIATIONS: Final = Operation(
    name="evm_associations.latest",
    summary="The EVM addresses of a subnet's neurons",
    params=NoParams,
    reply=SubnetEvmAssociations,
    path="/block/latest/evm_associations",
)
