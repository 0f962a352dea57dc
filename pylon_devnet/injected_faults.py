"""What can be made to go wrong between a devnet and its clients."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(slots=True)
class InjectedError:
    """An error that a method answers so many more times."""

    code: int
    message: str
    times: int


@dataclass(frozen=True, slots=True)
class InjectedRejection:
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
        handshake_status: HTTP status that the next `handshakes_to_reject` connections get.
        handshakes_to_reject: how many more connections are refused with that status.
        rejection: how the next `extrinsics_to_reject` extrinsics are refused.
        extrinsics_to_reject: how many more extrinsics are refused.
        extrinsics_to_swallow: how many more extrinsics are taken in and forgotten.
        watches_to_mute: how many more watched extrinsics are included without a word.
        header_number: the number of the next `headers_to_falsify` answers of chain_getHeader.
        headers_to_falsify: how many more of these answers have that number.
    """

    silent: bool = False
    delays_s: dict[str, float] = field(default_factory=dict[str, float])
    errors: dict[str, InjectedError] = field(default_factory=dict[str, InjectedError])
    handshake_status: int = 429
    handshakes_to_reject: int = 0
    rejection: InjectedRejection = InjectedRejection()
    extrinsics_to_reject: int = 0
    extrinsics_to_swallow: int = 0
    watches_to_mute: int = 0
    header_number: Any = None
    headers_to_falsify: int = 0
    _rejecting_until_s: float = 0.0

    def reject_connections(self, seconds: float) -> None:
        """Refuses new connections for so long."""
        self._rejecting_until_s = asyncio.get_running_loop().time() + seconds

    def rejects_connections(self) -> bool:
        """Whether new connections are refused now."""
        return asyncio.get_running_loop().time() < self._rejecting_until_s

    def next_handshake_rejection(self) -> int | None:
        """The HTTP status to refuse this handshake with, or None to accept it."""
        if self.handshakes_to_reject <= 0:
            return None
        self.handshakes_to_reject -= 1
        return self.handshake_status

    def next_rejection(self) -> InjectedRejection | None:
        """How to refuse the extrinsic that just came, or None."""
        if self.extrinsics_to_reject <= 0:
            return None
        self.extrinsics_to_reject -= 1
        return self.rejection

    def swallows_next_extrinsic(self) -> bool:
        """Whether to forget the extrinsic that just came."""
        if self.extrinsics_to_swallow <= 0:
            return False
        self.extrinsics_to_swallow -= 1
        return True

    def mutes_next_watch(self) -> bool:
        """Whether to keep quiet about the extrinsic that just came."""
        if self.watches_to_mute <= 0:
            return False
        self.watches_to_mute -= 1
        return True

    def falsify(self, method: str, result: Any) -> Any:
        """Return a method's result, with the false number if it is due."""
        if method != "chain_getHeader" or result is None or self.headers_to_falsify <= 0:
            return result
        self.headers_to_falsify -= 1
        return cast("dict[str, Any]", result) | {"number": self.header_number}

    def next_error(self, method: str) -> InjectedError | None:
        """The error to answer this request with, or None."""
        planned = self.errors.get(method)
        if planned is None or planned.times <= 0:
            return None
        planned.times -= 1
        return planned
