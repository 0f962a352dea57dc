"""The table of reads: one `ReadSpec` row per operation. Each topic has a module.

Open access and identities share a row: the call contains the subnet and the hotkey.
"""

from typing import Any, Final

from pylon.reads.read_spec import ReadSpec
from pylon.reads.specs.block_specs import BLOCK_SPECS
from pylon.reads.specs.certificate_specs import CERTIFICATE_SPECS
from pylon.reads.specs.commitment_specs import COMMITMENT_SPECS
from pylon.reads.specs.extrinsic_specs import EXTRINSIC_SPECS
from pylon.reads.specs.neuron_specs import NEURON_SPECS
from pylon.reads.specs.subnet_specs import SUBNET_SPECS
from pylon.reads.specs.weight_specs import WEIGHT_SPECS

READ_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    *BLOCK_SPECS,
    *EXTRINSIC_SPECS,
    *NEURON_SPECS,
    *WEIGHT_SPECS,
    *SUBNET_SPECS,
    *COMMITMENT_SPECS,
    *CERTIFICATE_SPECS,
)
