"""A reader rejects job requests while no signer runs, and unsubscribes when one does."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import pytest

from pylon.jobs import absent_signers
from pylon.jobs.absent_signers import AbsentSignerHandlers
from pylon.jobs.signer_directory import SignerAnnouncement, SignerDirectory
from pylon_client.contract import json_codec
from pylon_client.contract.operations import JOB_OPERATIONS
from pylon_client.contract.types import IdentityName
from tests.support.product.eventually import eventually
from tests.support.product.fake_signers import address

ALICE = IdentityName("alice")


class Subscriptions:
    """A request service that records its further subjects, and fails once."""

    def __init__(self) -> None:
        self.subjects: set[str] = set()
        self.failures = 1

    async def add_subjects(self, subjects: Iterable[str]) -> Callable[[], Awaitable[None]]:
        if self.failures:
            self.failures -= 1
            raise OSError
        added = set(subjects)
        self.subjects |= added

        async def remove() -> None:
            self.subjects -= added

        return remove


async def test_requests_are_received_only_while_their_signer_is_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(absent_signers, "CHECK_INTERVAL_S", 0.0)
    clock_s = [1000.0]
    signers = SignerDirectory([ALICE], grace_s=0.0, clock=lambda: clock_s[0])
    clock_s[0] += 1000.0
    service = Subscriptions()
    running = asyncio.create_task(AbsentSignerHandlers(signers, [ALICE]).run(cast("Any", service)))
    await eventually(lambda: len(service.subjects) == len(JOB_OPERATIONS))
    signers.observe(ALICE, json_codec.encode(SignerAnnouncement(hotkey=address(1))))
    await eventually(lambda: not service.subjects)
    running.cancel()
    await asyncio.wait({running})
