"""What can be made to go wrong between a devnet and its clients."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class PlannedError:
    """An error that a method answers so many more times."""

    code: int
    message: str
    times: int


@dataclass(slots=True)
class Faults:
    """The faults in force; none of them at first.

    Attributes:
        silent: requests are read and nothing is said; the connection stays.
        delays_s: seconds that answers of a method are held back.
        errors: errors that methods answer.
        handshake_status: HTTP status that the next `handshakes_refused` connections get.
        handshakes_refused: how many more connections are refused with that status.
        notices_swallowed: how many more watched extrinsics are never told about.
    """

    silent: bool = False
    delays_s: dict[str, float] = field(default_factory=dict[str, float])
    errors: dict[str, PlannedError] = field(default_factory=dict[str, PlannedError])
    handshake_status: int = 429
    handshakes_refused: int = 0
    notices_swallowed: int = 0
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

    def next_error(self, method: str) -> PlannedError | None:
        """The error to answer this request with, or None."""
        planned = self.errors.get(method)
        if planned is None or planned.times <= 0:
            return None
        planned.times -= 1
        return planned
