"""What every value read from the chain has in common: it belongs to a block and never changes."""

from enum import IntEnum
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pylon_client.contract.types import BlockHash, BlockNumber, Timestamp

EnumT = TypeVar("EnumT", bound=IntEnum)


def unknown_member(enum: type[EnumT], value: object) -> EnumT | None:
    """A member for a number that an enum of the chain has no name for yet."""
    if not isinstance(value, int):
        return None
    member = int.__new__(enum, value)
    member._name_ = f"UNKNOWN_{value}"
    member._value_ = value
    return member


class BittensorModel(BaseModel):
    """A value read from the chain; it never changes once read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Block(BittensorModel):
    """Which block a value was read at."""

    number: BlockNumber
    hash: BlockHash


class BlockInfo(Block):
    """A block and when its author made it.

    `timestamp` is in whole seconds since the Unix epoch, from the block's `Timestamp.Now`.
    """

    timestamp: Timestamp


class Skipped(BittensorModel):
    """An item of a collection that could not be read, and why; the others are not spoilt by it."""

    item: str
    reason: str


class Collection(BittensorModel):
    """Many values of one block; those that could not be read are listed as skipped."""

    block: Block
    skipped: list[Skipped] = Field(default_factory=list[Skipped])
