"""The head of the chain as the publisher of a block event knows it."""

import math
import re
from dataclasses import dataclass
from typing import Self

from pylon_client.contract.types import MAX_BLOCK_NUMBER, BlockNumber

_HEADER = re.compile(r"([0-9]{1,10}) ([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class ObservedHead:
    """A head of the chain, and how long it counts as the newest one.

    It is relative to the sending of the message, so that the clocks of both sides need not agree.

    Attributes:
        number: its block number.
        fresh_for_s: seconds for which it is the newest head by the publisher's rule, unless another
            one follows; 0 if the chain has been silent for too long.
    """

    number: BlockNumber
    fresh_for_s: float

    def encode(self) -> str:
        """Return the value of the header `Pylon-Head`."""
        return f"{self.number} {math.floor(self.fresh_for_s * 1000)}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the head in a header.

        Raises:
            ValueError: the header is not a block number and a number of milliseconds.
        """
        found = _HEADER.fullmatch(text)
        if found is None or int(found[1]) > MAX_BLOCK_NUMBER:
            raise ValueError(text)
        return cls(BlockNumber(int(found[1])), int(found[2]) / 1000)
