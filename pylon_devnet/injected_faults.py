"""What can be made to go wrong between a devnet and its clients."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(slots=True)
class PlannedError:
    """An error that a method answers so many more times."""

    code: int
    message: str
    times: int


@dataclass(frozen=True, slots=True)
class PlannedRefusal:
    """How the pool refuses extrinsics that it would have taken."""

    code: int = 1010
    message: str = "Invalid Transaction"
    data: str = "Custom error: 6"


@dataclass(slots=True)
class Faults:
    """The faults in force; none of them at first.

    Attributes:
        silent: requests are read and nothing is said; the connection stays.
        delays_s: seconds that answers of a method are held back.
        errors: errors that methods answer.
        handshake_status: HTTP status that the next `handshakes_refused` connections get.
        handshakes_refused: how many more connections are refused with that status.
        refusal: how the next `extrinsics_refused` extrinsics are refused.
        extrinsics_refused: how many more extrinsics are refused.
        extrinsics_swallowed: how many more extrinsics are taken in and forgotten.
        watches_muted: how many more watched extrinsics are included without a word.
        header_number: the number of the next `headers_falsified` answers of chain_getHeader.
        headers_falsified: how many more of these answers have that number.
    """

    silent: bool = False
    delays_s: dict[str, float] = field(default_factory=dict[str, float])
    errors: dict[str, PlannedError] = field(default_factory=dict[str, PlannedError])
    handshake_status: int = 429
    handshakes_refused: int = 0
    refusal: PlannedRefusal = PlannedRefusal()
    extrinsics_refused: int = 0
    extrinsics_swallowed: int = 0
    watches_muted: int = 0
    header_number: Any = None
    headers_falsified: int = 0
    _refusing_until: float = 0.0

    def refuse_connections(self, seconds: float) -> None:
        """Refuses new connections for so long."""
        self._refusing_until = asyncio.get_running_loop().time() + seconds

    def refuses_connections(self) -> bool:
        """Whether new connections are refused now."""
        return asyncio.get_running_loop().time() < self._refusing_until

    def next_handshake_refusal(self) -> int | None:
        """The HTTP status to refuse this handshake with, or None to accept it."""
        if self.handshakes_refused <= 0:
            return None
        self.handshakes_refused -= 1
        return self.handshake_status

    def next_refusal(self) -> PlannedRefusal | None:
        """How to refuse the extrinsic that just came, or None."""
        if self.extrinsics_refused <= 0:
            return None
        self.extrinsics_refused -= 1
        return self.refusal

    def swallows_next(self) -> bool:
        """Whether to forget the extrinsic that just came."""
        if self.extrinsics_swallowed <= 0:
            return False
        self.extrinsics_swallowed -= 1
        return True

    def mutes_next(self) -> bool:
        """Whether to keep quiet about the extrinsic that just came."""
        if self.watches_muted <= 0:
            return False
        self.watches_muted -= 1
        return True

    def falsify(self, method: str, result: Any) -> Any:
        """Return a method's result, with the false number if it is due."""
        if method != "chain_getHeader" or result is None or self.headers_falsified <= 0:
            return result
        self.headers_falsified -= 1
        return cast("dict[str, Any]", result) | {"number": self.header_number}

    def next_error(self, method: str) -> PlannedError | None:
        """The error to answer this request with, or None."""
        planned = self.errors.get(method)
        if planned is None or planned.times <= 0:
            return None
        planned.times -= 1
        return planned
