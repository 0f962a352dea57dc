"""What a job of some kind wants of the chain, as the runner sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pylon.chain.write_port import WriteCall
from pylon.jobs.retry_policy import RetryPolicy
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey

Updates = Mapping[str, Any]
"""Fields of a job and what they are to become."""


def _no_updates() -> Updates:
    return {}


@dataclass(frozen=True, slots=True)
class Submit:
    """It can be sent now."""

    call: WriteCall
    updates: Updates = field(default_factory=_no_updates)


@dataclass(frozen=True, slots=True)
class Defer:
    """The chain would not take it now.

    Attributes:
        read_at_block: the newest block, by which this was seen.
        until_block: the first block that may take it; None where any block may.
    """

    read_at_block: BlockNumber
    until_block: BlockNumber | None
    failure: Failure
    updates: Updates = field(default_factory=_no_updates)


@dataclass(frozen=True, slots=True)
class Finish:
    """It ends here, unsent."""

    state: JobState
    failure: Failure | None
    updates: Updates = field(default_factory=_no_updates)


Plan = Submit | Defer | Finish


class JobPlanner(Protocol):
    """What jobs of some kinds do on the chain."""

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often such a job is tried."""
        ...

    @property
    def waits_for_permission(self) -> bool:
        """Whether it waits until the hotkey may write, instead of ending when it may not."""
        ...

    async def plan(self, job: Job, request: Updates, hotkey: Hotkey) -> Plan:
        """What is to be done about a job, by the chain's newest block.

        Raises:
            FailureError: the chain did not answer.
            RefusedError: the chain would refuse any such job.
        """
        ...

    async def next_allowed_block(self, job: Job, hotkey: Hotkey) -> BlockNumber:
        """From which block on the chain may take what it has just refused for a limit's sake.

        Raises:
            FailureError: the chain did not answer.
        """
        ...


def would_change(job: Job, updates: Updates) -> bool:
    """Return whether updates would change a job."""
    return any(getattr(job, name) != value for name, value in updates.items())


def unreadable_request() -> Finish:
    """The end of a job of which the ledger does not say, in any form known here, what to do."""
    return Finish(
        JobState.REJECTED,
        FailureError(ErrorCode.INVALID, "What was asked for cannot be read any more.").failure,
    )


def expiry_failure(job: Job, deadline_block: BlockNumber) -> Failure:
    """Why a job's time was over: what stood in its way last, or that nothing came of it in time."""
    return (
        job.last_error
        or FailureError(ErrorCode.EXPIRED, f"Its time was over at block {deadline_block}.").failure
    )
