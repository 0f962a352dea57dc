"""The reads of commitments."""

from typing import Final

from pylon_client.contract.models import (
    Commitment,
    HotkeyRevealedCommitments,
    HotkeyTypedCommitment,
    SubnetCommitments,
    SubnetRevealedCommitments,
    SubnetTypedCommitments,
)
from pylon_client.contract.operation import NoParams, Operation
from pylon_client.contract.reads.read_params import HotkeyParams

COMMITMENTS: Final = Operation(
    name="commitments.latest",
    summary="The commitments of a subnet that are plain data",
    params=NoParams,
    reply=SubnetCommitments,
    path="/block/latest/commitments",
)
COMMITMENT: Final = Operation(
    name="commitments.of",
    summary="The commitment of a hotkey",
    params=HotkeyParams,
    reply=Commitment,
    path="/block/latest/commitments/{hotkey}",
)
OWN_COMMITMENT: Final = Operation(
    name="commitments.self",
    summary="The commitment of the identity's hotkey",
    params=NoParams,
    reply=Commitment,
    path="/block/latest/commitments/self",
    identity_only=True,
)
TYPED_COMMITMENTS: Final = Operation(
    name="commitments.typed.latest",
    summary="All commitments of a subnet, plain data and timelock-encrypted",
    params=NoParams,
    reply=SubnetTypedCommitments,
    path="/block/latest/commitments/typed",
)
TYPED_COMMITMENT: Final = Operation(
    name="commitments.typed.of",
    summary="The commitment of a hotkey, plain data or timelock-encrypted",
    params=HotkeyParams,
    reply=HotkeyTypedCommitment,
    path="/block/latest/commitments/typed/{hotkey}",
)
OWN_TYPED_COMMITMENT: Final = Operation(
    name="commitments.typed.self",
    summary="The commitment of the identity's hotkey, plain data or timelock-encrypted",
    params=NoParams,
    reply=HotkeyTypedCommitment,
    path="/block/latest/commitments/typed/self",
    identity_only=True,
)
REVEALED_COMMITMENTS: Final = Operation(
    name="commitments.revealed.latest",
    summary="The revealed commitments of a subnet",
    params=NoParams,
    reply=SubnetRevealedCommitments,
    path="/block/latest/commitments/revealed",
)
REVEALED_COMMITMENTS_OF: Final = Operation(
    name="commitments.revealed.of",
    summary="The revealed commitments of a hotkey",
    params=HotkeyParams,
    reply=HotkeyRevealedCommitments,
    path="/block/latest/commitments/revealed/{hotkey}",
)
OWN_REVEALED_COMMITMENTS: Final = Operation(
    name="commitments.revealed.self",
    summary="The revealed commitments of the identity's hotkey",
    params=NoParams,
    reply=HotkeyRevealedCommitments,
    path="/block/latest/commitments/revealed/self",
    identity_only=True,
)
