"""The identities that running workers can sign for.

Every signer announces for each of its identities that it can sign, or why it cannot. A write is
accepted if a signer of its identity runs, or ran until recently: that covers a restart.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.ss58 import HotkeyField
from pylon_client.contract.types import Hotkey, IdentityName

logger = logging.getLogger(__name__)

ANNOUNCE_INTERVAL_S: Final = 5.0
"""Seconds between two announcements of a signer."""
ALIVE_TIMEOUT_S: Final = 3 * ANNOUNCE_INTERVAL_S
"""Seconds after its last announcement during which a signer counts as running."""
NO_SIGNER: Final = "no_signer"
MAX_CAUSE_CHARS: Final = 400
NO_SIGNER_REASON: Final = (
    "no signer with its hotkey is running; start a worker with PYLON_WORKER_ROLE=signer or all"
)


class SignerAnnouncement(BaseModel):
    """States whether a worker can sign for an identity.

    Attributes:
        hotkey: the hotkey that it signs with; None if it cannot sign.
        problem: code of the reason why it cannot sign; empty if it can.
        cause: the reason in words, with the remedy.
    """

    model_config = ConfigDict(frozen=True)

    hotkey: HotkeyField | None = None
    problem: str = Field(default="", max_length=32)
    cause: str = Field(default="", max_length=MAX_CAUSE_CHARS)

    @model_validator(mode="after")
    def _has_hotkey_or_cause(self) -> Self:
        if self.hotkey is None and not (self.problem and self.cause):
            raise ValueError("an announcement needs a hotkey, or a problem with a cause")
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
    """Records the announcements of signers, by identity.

    Args:
        identities: the configured identities.
        grace_s: seconds after a signer stops running during which writes are still accepted; also
            after the start of this worker, which has received no announcement yet.
        clock: monotonic time in seconds.
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
        """Record an announcement in JSON.

        Announcements of identities that are not configured are ignored. So are unreadable ones,
        which are logged once per identity.
        """
        status = self._status.get(identity)
        if status is None:
            return
        try:
            announcement = SignerAnnouncement.model_validate_json(body)
        except ValidationError as error:
            if not status.unreadable_logged:
                status.unreadable_logged = True
                logger.warning(
                    "Ignored unreadable announcements of a signer for %s, such as: %s",
                    identity,
                    error.errors(include_input=False, include_url=False)[0]["msg"],
                )
            return
        if announcement.hotkey is not None:
            status.hotkey, status.able_at_s = announcement.hotkey, self._clock()
        else:
            status.unable_at_s = self._clock()
            status.problem, status.cause = announcement.problem, announcement.cause

    def require_signer(self, identity: IdentityName) -> None:
        """Raise unless a signer of the identity runs, or ran recently.

        Raises:
            FailureError: MISCONFIGURED if no signer with its hotkey runs or ran recently.
        """
        now_s = self._clock()
        status = self._status[identity]
        missing = self.unavailable_reason(identity)
        was_there = now_s - status.able_at_s < ALIVE_TIMEOUT_S + self._grace_s
        may_come = (
            not self._is_alive(status.unable_at_s) and now_s - self._started_s < self._grace_s
        )
        if missing and not was_there and not may_come:
            raise FailureError(
                ErrorCode.MISCONFIGURED, f"Identity {identity!r} cannot write: {missing}."
            )

    def is_absent(self, identity: IdentityName) -> bool:
        """Return whether no signer has announced itself for longer than a restart takes."""
        now_s, status = self._clock(), self._status[identity]
        silent_s = now_s - max(
            status.able_at_s, status.unable_at_s, self._started_s - ALIVE_TIMEOUT_S
        )
        return silent_s >= ALIVE_TIMEOUT_S + self._grace_s

    def unavailable_reason(self, identity: IdentityName) -> str:
        """Return why no signer can sign for an identity now; empty if one can."""
        status = self._status[identity]
        if self._is_alive(status.able_at_s):
            return ""
        return status.cause if self._is_alive(status.unable_at_s) else NO_SIGNER_REASON

    def hotkey(self, identity: IdentityName) -> Hotkey | None:
        """Return the hotkey that a signer of the identity announced last, or None."""
        return self._status[identity].hotkey

    @property
    def unavailable_reasons(self) -> Mapping[IdentityName, str]:
        """Return the identities without a signer, each with the reason as a sentence."""
        return {
            name: missing for name in self._status if (missing := self.unavailable_reason(name))
        }

    def problem_codes(self) -> Mapping[IdentityName, str]:
        """Return the identities without a signer, each with the code of the reason."""
        return {
            name: status.problem if self._is_alive(status.unable_at_s) else NO_SIGNER
            for name, status in self._status.items()
            if not self._is_alive(status.able_at_s)
        }

    def _is_alive(self, at_s: float) -> bool:
        return self._clock() - at_s < ALIVE_TIMEOUT_S


async def announce_signers(
    announcements: Mapping[IdentityName, SignerAnnouncement],
    publish: Callable[[IdentityName, bytes], Awaitable[None]],
) -> None:
    """Publish the announcements every `ANNOUNCE_INTERVAL_S` seconds, until cancelled."""
    while True:
        for identity, announcement in announcements.items():
            await publish(identity, json_codec.encode(announcement))
        await asyncio.sleep(ANNOUNCE_INTERVAL_S)
