"""What a job of some kind wants of the chain, as the runner sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pylon.chain.write_port import WriteCall
from pylon.jobs.retry_policy import Retries
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey

Updates = Mapping[str, Any]
"""Fields of a job and what they are to become."""


def _nothing() -> Updates:
    return {}


@dataclass(frozen=True, slots=True)
class Ready:
    """It can be sent now."""

    call: WriteCall
    updates: Updates = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Wait:
    """The chain would not take it now.

    Attributes:
        block: the newest block, by which this was seen.
        until_block: the first block that may take it; None where any block may.
    """

    block: BlockNumber
    until_block: BlockNumber | None
    failure: Failure
    updates: Updates = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Over:
    """It ends here, unsent."""

    state: JobState
    failure: Failure | None
    updates: Updates = field(default_factory=_nothing)


Plan = Ready | Wait | Over


class Work(Protocol):
    """What jobs of some kinds do on the chain."""

    @property
    def retries(self) -> Retries:
        """How often such a job is tried."""
        ...

    @property
    def waits_for_rights(self) -> bool:
        """Whether it waits until the hotkey may write, instead of ending when it may not."""
        ...

    async def plan(self, job: Job, request: Updates, own: Hotkey) -> Plan:
        """What is to be done about a job, by the chain's newest block.

        Raises:
            FailureError: the chain did not answer.
            RefusedError: the chain would refuse any such job.
        """
        ...

    async def wait_until(self, job: Job, own: Hotkey) -> BlockNumber:
        """From which block on the chain may take what it has just refused for a limit's sake.

        Raises:
            FailureError: the chain did not answer.
        """
        ...


def has_news(job: Job, updates: Updates) -> bool:
    """Return whether updates would change a job."""
    return any(getattr(job, name) != value for name, value in updates.items())


def unreadable() -> Over:
    """The end of a job of which the ledger does not say, in any form known here, what to do."""
    return Over(
        JobState.REJECTED,
        FailureError(ErrorCode.INVALID, "What was asked for cannot be read any more.").failure,
    )


def expired(job: Job, deadline_block: BlockNumber) -> Failure:
    """Why a job's time was over: what stood in its way last, or that nothing came of it in time."""
    return (
        job.last_error
        or FailureError(ErrorCode.EXPIRED, f"Its time was over at block {deadline_block}.").failure
    )
