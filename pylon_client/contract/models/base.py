"""What every value read from the chain has in common: it belongs to a block and never changes."""

from enum import IntEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler

from pylon_client.contract.types import BlockHash, BlockNumber, Timestamp


class OpenEnum(IntEnum):
    """Numbers that have names, among others that the chain may add: those are kept as they are."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The schema of any integer that tells the names: an enum would be a promise."""
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        for closing in ("enum", "const"):
            schema.pop(closing, None)
        named = ", ".join(f"{member.value} is {member.name}" for member in cls)
        schema["description"] = f"{schema.get('description', '')} Known: {named}.".strip()
        return reference


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
