"""The identity of a chain: the name of its network and its genesis hash."""

from dataclasses import dataclass
from typing import Final

_GENESIS_DISPLAY_CHARS: Final = 10
"""Length of a shortened genesis hash: 0x and four bytes."""


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """A chain.

    Attributes:
        network: the name or URL under which it was reached, without secrets.
        genesis: hash of its first block, which identifies the chain.
    """

    network: str
    genesis: str

    def __str__(self) -> str:
        """Return the network and the shortened genesis hash."""
        return f"{self.network} (genesis {short_genesis(self.genesis)})"


def short_genesis(genesis: str) -> str:
    """Return a shortened genesis hash."""
    return (
        genesis
        if len(genesis) <= _GENESIS_DISPLAY_CHARS
        else f"{genesis[:_GENESIS_DISPLAY_CHARS]}…"
    )
