"""The rows of reads of what neurons have registered."""

from typing import Any, Final

from pylon.chain.queries.certificate_queries import CertificatesOf
from pylon.chain.queries.evm_queries import EvmAssociations
from pylon.chain.query import AnyQuery
from pylon.reads import projections
from pylon.reads.projections import AnyRead
from pylon.reads.read_spec import ReadSpec
from pylon_client.contract import reads


def _certificates(read: AnyRead) -> AnyQuery:
    return CertificatesOf(read.netuid)


def _evm_associations(read: AnyRead) -> AnyQuery:
    return EvmAssociations(read.netuid)


CERTIFICATE_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    ReadSpec(reads.CERTIFICATES, _certificates, projections.certificates),
    ReadSpec(reads.CERTIFICATE, _certificates, projections.certificate),
    ReadSpec(reads.OWN_CERTIFICATE, _certificates, projections.certificate, uses_own_hotkey=True),
    ReadSpec(reads.EVM_ASSOCIATIONS, _evm_associations),
)
