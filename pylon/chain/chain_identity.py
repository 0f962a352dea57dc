"""Which chain something belongs to: the name of its network, and the hash of its first block."""

from dataclasses import dataclass
from typing import Final

_GENESIS_DISPLAY_CHARS: Final = 10
"""Characters of a genesis hash that are shown to people: 0x and four bytes."""


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """A chain.

    Attributes:
        network: the name or the address under which it was reached, without anything secret.
        genesis: the hash of its first block, by which two chains are told apart.
    """

    network: str
    genesis: str

    def __str__(self) -> str:
        """Return both names, as errors show them."""
        return f"{self.network} (genesis {short_genesis(self.genesis)})"


def short_genesis(genesis: str) -> str:
    """Return the beginning of a genesis hash."""
    return (
        genesis
        if len(genesis) <= _GENESIS_DISPLAY_CHARS
        else f"{genesis[:_GENESIS_DISPLAY_CHARS]}…"
    )
