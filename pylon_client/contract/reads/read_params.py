"""The parameters of reads."""

from typing import Annotated

from pydantic import Field

from pylon_client.contract.operation import Params
from pylon_client.contract.ss58 import HotkeyField
from pylon_client.contract.types import BlockNumberField, ExtrinsicIndex, MechanismField


class BlockParams(Params):
    """The block to read at."""

    block_number: BlockNumberField


class HotkeyParams(Params):
    """The hotkey to read."""

    hotkey: HotkeyField


class ExtrinsicParams(BlockParams):
    """The block and the index of the extrinsic, from 0."""

    extrinsic_index: Annotated[ExtrinsicIndex, Field(ge=0, le=65_535)]


class ChangesParams(Params):
    """The block of the known neurons, from which the changes start."""

    since: BlockNumberField


class WeightsStatusParams(BlockParams):
    """The mechanism of the subnet, and a block of the epoch."""

    mechanism_id: MechanismField
