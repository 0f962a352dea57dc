"""Faults that tests inject between a devnet and its clients."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(slots=True)
class InjectedError:
    """An error that an RPC method returns for the next `times` requests."""

    code: int
    message: str
    times: int


@dataclass(frozen=True, slots=True)
class InjectedRejection:
    """The error with which the pool rejects valid extrinsics."""

    code: int = 1010
    message: str = "Invalid Transaction"
    data: str = "Custom error: 6"


@dataclass(slots=True)
class Faults:
    """The active faults; initially none.

    Attributes:
        silent: whether requests are read without a response, on open connections.
        delays_s: delays of responses in seconds, by method.
        errors: errors by method.
        handshake_status: HTTP status of rejected handshakes.
        handshakes_to_reject: number of next handshakes to reject.
        rejection: error of rejected extrinsics.
        extrinsics_to_reject: number of next extrinsics to reject.
        extrinsics_to_swallow: number of next extrinsics to accept without including them.
        watches_to_mute: number of next watched extrinsics without status updates.
        header_number: false block number in responses of chain_getHeader.
        headers_to_falsify: number of next responses of chain_getHeader with that number.
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
        """Reject new connections for a time in seconds."""
        self._rejecting_until_s = asyncio.get_running_loop().time() + seconds

    def rejects_connections(self) -> bool:
        """Return whether new connections are rejected now."""
        return asyncio.get_running_loop().time() < self._rejecting_until_s

    def next_handshake_rejection(self) -> int | None:
        """Return the HTTP status to reject a new handshake with, or None to accept it."""
        if self.handshakes_to_reject <= 0:
            return None
        self.handshakes_to_reject -= 1
        return self.handshake_status

    def next_rejection(self) -> InjectedRejection | None:
        """Return the error to reject a new extrinsic with, or None to accept it."""
        if self.extrinsics_to_reject <= 0:
            return None
        self.extrinsics_to_reject -= 1
        return self.rejection

    def swallows_next_extrinsic(self) -> bool:
        """Return whether to swallow a new extrinsic."""
        if self.extrinsics_to_swallow <= 0:
            return False
        self.extrinsics_to_swallow -= 1
        return True

    def mutes_next_watch(self) -> bool:
        """Return whether to mute the status updates of a new extrinsic."""
        if self.watches_to_mute <= 0:
            return False
        self.watches_to_mute -= 1
        return True

    def falsify(self, method: str, result: Any) -> Any:
        """Return a method's result, with the false number if one is injected."""
        if method != "chain_getHeader" or result is None or self.headers_to_falsify <= 0:
            return result
        self.headers_to_falsify -= 1
        return cast("dict[str, Any]", result) | {"number": self.header_number}

    def next_error(self, method: str) -> InjectedError | None:
        """Return the error for a new request, or None."""
        planned = self.errors.get(method)
        if planned is None or planned.times <= 0:
            return None
        planned.times -= 1
        return planned
