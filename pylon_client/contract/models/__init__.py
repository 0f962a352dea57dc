"""Pydantic models of the chain's data: the bodies of replies and events.

Amounts are tokens (1 token = 10**9 rao); scores are shares between 0 and 1.
Unknown keys are ignored, so that older clients can read replies of newer services.
"""

from pylon_client.contract.models.base import (
    BittensorModel,
    Block,
    BlockInfo,
    Collection,
    Skipped,
)
from pylon_client.contract.models.certificates import (
    CertificateAlgorithm,
    NeuronCertificate,
    NeuronCertificateKeypair,
    SubnetCertificates,
)
from pylon_client.contract.models.chain import (
    DrandRound,
    Extrinsic,
    ExtrinsicCall,
    ExtrinsicCallArg,
    Identities,
)
from pylon_client.contract.models.changes import NeuronChanges, ReplacedNeuron
from pylon_client.contract.models.commitments import (
    Commitment,
    CommitmentKind,
    HexDataCommitment,
    HotkeyRevealedCommitments,
    HotkeyTypedCommitment,
    RevealedCommitment,
    SubnetCommitments,
    SubnetRevealedCommitments,
    SubnetTypedCommitments,
    TimelockEncryptedCommitment,
    TypedCommitment,
)
from pylon_client.contract.models.neurons import (
    AxonInfo,
    AxonProtocol,
    Neuron,
    Stakes,
    SubnetNeurons,
    SubnetValidators,
)
from pylon_client.contract.models.subnets import (
    AlphaPrice,
    EvmAssociation,
    SubnetEvmAssociations,
    SubnetHyperparameters,
    SubnetPrice,
    SubnetPrices,
    WeightsStatus,
)

__all__ = [
    "AlphaPrice",
    "AxonInfo",
    "AxonProtocol",
    "BittensorModel",
    "Block",
    "BlockInfo",
    "CertificateAlgorithm",
    "Collection",
    "Commitment",
    "CommitmentKind",
    "DrandRound",
    "EvmAssociation",
    "Extrinsic",
    "ExtrinsicCall",
    "ExtrinsicCallArg",
    "HexDataCommitment",
    "HotkeyRevealedCommitments",
    "HotkeyTypedCommitment",
    "Identities",
    "Neuron",
    "NeuronCertificate",
    "NeuronCertificateKeypair",
    "NeuronChanges",
    "ReplacedNeuron",
    "RevealedCommitment",
    "Skipped",
    "Stakes",
    "SubnetCertificates",
    "SubnetCommitments",
    "SubnetEvmAssociations",
    "SubnetHyperparameters",
    "SubnetNeurons",
    "SubnetPrice",
    "SubnetPrices",
    "SubnetRevealedCommitments",
    "SubnetTypedCommitments",
    "SubnetValidators",
    "TimelockEncryptedCommitment",
    "TypedCommitment",
    "WeightsStatus",
]
