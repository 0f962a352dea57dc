"""Base classes of the chain's data."""

from enum import IntEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler

from pylon_client.contract.types import BlockHash, BlockNumber, Timestamp


class OpenEnum(IntEnum):
    """An enum of numbers that accepts unknown numbers, because the chain may add some."""

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
        """Return the schema of an integer whose description lists the known names."""
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        for closing in ("enum", "const"):
            schema.pop(closing, None)
        named = ", ".join(f"{member.value} is {member.name}" for member in cls)
        schema["description"] = f"{schema.get('description', '')} Known: {named}.".strip()
        return reference


class BittensorModel(BaseModel):
    """An immutable value read from the chain."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Block(BittensorModel):
    """The block at which a value was read."""

    number: BlockNumber
    hash: BlockHash


class BlockInfo(Block):
    """A block with its timestamp.

    `timestamp` is in whole seconds since the Unix epoch, from the block's `Timestamp.Now`.
    """

    timestamp: Timestamp


class Skipped(BittensorModel):
    """An unreadable item of a collection, and the reason."""

    item: str
    reason: str


class Collection(BittensorModel):
    """Values of one block; unreadable ones are listed in `skipped`."""

    block: Block
    skipped: list[Skipped] = Field(default_factory=list[Skipped])
