"""Which identities can be signed for, by this worker or another.

Every signer announces what it can sign, and what it cannot and why. A write is accepted when a
signer that can carry it out is running, or was until a moment ago: that covers a restart.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.ss58 import HotkeyField
from pylon_client.contract.types import Hotkey, IdentityName

logger = logging.getLogger(__name__)

ANNOUNCE_INTERVAL_S: Final = 5.0
ALIVE_TIMEOUT_S: Final = 3 * ANNOUNCE_INTERVAL_S
"""Seconds after its last announcement for which a signer counts as running."""
NO_SIGNER: Final = "no_signer"
CAUSE_MAX_CHARS: Final = 400
NO_SIGNER_REASON: Final = (
    "no signer with its hotkey is running; start a worker with PYLON_WORKER_ROLE=signer or all"
)


class SignerAnnouncement(BaseModel):
    """Whether a worker can sign for an identity.

    Attributes:
        hotkey: with which it signs; None where it cannot.
        problem: why it cannot, in a word; empty where it can.
        cause: the same in words, and what to do.
    """

    model_config = ConfigDict(frozen=True)

    hotkey: HotkeyField | None = None
    problem: str = Field(default="", max_length=32)
    cause: str = Field(default="", max_length=CAUSE_MAX_CHARS)

    @model_validator(mode="after")
    def _has_hotkey_or_cause(self) -> Self:
        if self.hotkey is None and not (self.problem and self.cause):
            raise ValueError("it has no hotkey, and no problem with a cause")
        return self


@dataclass(slots=True)
class _SignerStatus:
    hotkey: Hotkey | None = None
    able_at_s: float = float("-inf")
    unable_at_s: float = float("-inf")
    problem: str = NO_SIGNER
    cause: str = ""
    unreadable_logged: bool = False


class SignerDirectory:
    """What was announced of each identity.

    Args:
        identities: those that are configured.
        grace_s: seconds after the last announcement of a signer for which writes are still
            accepted; also after the start of this worker, which has received none yet.
        clock: the time in seconds.
    """

    def __init__(
        self,
        identities: Iterable[IdentityName],
        grace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._grace_s = grace_s
        self._started_s = self._clock()
        self._status = {name: _SignerStatus() for name in identities}

    def observe(self, identity: IdentityName, body: bytes) -> None:
        """Record an announcement, in JSON.

        One of an identity that is not configured is ignored; so is one that cannot be read, which
        is logged once per identity.
        """
        seen = self._status.get(identity)
        if seen is None:
            return
        try:
            announcement = SignerAnnouncement.model_validate_json(body)
        except ValidationError as error:
            if not seen.unreadable_logged:
                seen.unreadable_logged = True
                logger.warning(
                    "Ignored unreadable announcements of a signer for %s, such as: %s",
                    identity,
                    error.errors(include_input=False, include_url=False)[0]["msg"],
                )
            return
        if announcement.hotkey is not None:
            seen.hotkey, seen.able_at_s = announcement.hotkey, self._clock()
        else:
            seen.unable_at_s = self._clock()
            seen.problem, seen.cause = announcement.problem, announcement.cause

    def require_signer(self, identity: IdentityName) -> None:
        """Raise unless a write of the identity can be carried out.

        Raises:
            FailureError: MISCONFIGURED, when no signer with its hotkey is running, nor was lately.
        """
        now_s = self._clock()
        seen = self._status[identity]
        missing = self.unavailable_reason(identity)
        was_there = now_s - seen.able_at_s < ALIVE_TIMEOUT_S + self._grace_s
        may_come = not self._is_alive(seen.unable_at_s) and now_s - self._started_s < self._grace_s
        if missing and not was_there and not may_come:
            raise FailureError(
                ErrorCode.MISCONFIGURED, f"Identity {identity!r} cannot write: {missing}."
            )

    def is_absent(self, identity: IdentityName) -> bool:
        """Return whether no signer has announced itself for longer than a restart takes."""
        now_s, seen = self._clock(), self._status[identity]
        silent_s = now_s - max(seen.able_at_s, seen.unable_at_s, self._started_s - ALIVE_TIMEOUT_S)
        return silent_s >= ALIVE_TIMEOUT_S + self._grace_s

    def unavailable_reason(self, identity: IdentityName) -> str:
        """Return why nothing can sign for an identity just now; empty where something can."""
        seen = self._status[identity]
        if self._is_alive(seen.able_at_s):
            return ""
        return seen.cause if self._is_alive(seen.unable_at_s) else NO_SIGNER_REASON

    def hotkey(self, identity: IdentityName) -> Hotkey | None:
        """Return the hotkey with which a signer announced last that it signs for an identity."""
        return self._status[identity].hotkey

    @property
    def unavailable_reasons(self) -> Mapping[IdentityName, str]:
        """Return the identities for which nothing can sign, and why, each in a sentence."""
        return {
            name: missing for name in self._status if (missing := self.unavailable_reason(name))
        }

    def problem_codes(self) -> Mapping[IdentityName, str]:
        """Return the identities for which nothing can sign, and why, each in a word."""
        return {
            name: seen.problem if self._is_alive(seen.unable_at_s) else NO_SIGNER
            for name, seen in self._status.items()
            if not self._is_alive(seen.able_at_s)
        }

    def _is_alive(self, at_s: float) -> bool:
        return self._clock() - at_s < ALIVE_TIMEOUT_S


async def announce_signers(
    announcements: Mapping[IdentityName, SignerAnnouncement],
    publish: Callable[[IdentityName, bytes], Awaitable[None]],
) -> None:
    """Publish what this worker can sign, again and again, until cancelled."""
    while True:
        for identity, announcement in announcements.items():
            await publish(identity, wire.encode(announcement))
        await asyncio.sleep(ANNOUNCE_INTERVAL_S)
