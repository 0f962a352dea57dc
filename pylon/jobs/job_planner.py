"""Plans of jobs: submit, defer or finish; and the interface of the planners that make them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pylon.chain.write_port import WriteCall
from pylon.jobs.retry_policy import RetryPolicy
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey

Updates = Mapping[str, Any]
"""New values of job fields, by name."""


def _no_updates() -> Updates:
    return {}


@dataclass(frozen=True, slots=True)
class Submit:
    """Submit a call now.

    Attributes:
        call: the call to sign and submit.
        updates: changed fields of the job.
    """

    call: WriteCall
    updates: Updates = field(default_factory=_no_updates)


@dataclass(frozen=True, slots=True)
class Defer:
    """Wait: the chain would refuse the job now.

    Attributes:
        read_at_block: newest block when the chain was read.
        until_block: first block that may accept the job; None if any later block may.
        failure: why the chain would refuse it.
        updates: changed fields of the job.
    """

    read_at_block: BlockNumber
    until_block: BlockNumber | None
    failure: Failure
    updates: Updates = field(default_factory=_no_updates)


@dataclass(frozen=True, slots=True)
class Finish:
    """Finish the job without submitting it.

    Attributes:
        state: final state of the job.
        failure: why it ends; None keeps its last error.
        updates: changed fields of the job.
    """

    state: JobState
    failure: Failure | None
    updates: Updates = field(default_factory=_no_updates)


Plan = Submit | Defer | Finish


class JobPlanner(Protocol):
    """Plans jobs of some kinds."""

    @property
    def retry_policy(self) -> RetryPolicy:
        """Return the number of attempts and the delay between them."""
        ...

    @property
    def waits_for_permission(self) -> bool:
        """Return whether a job waits until the hotkey may write, instead of being rejected."""
        ...

    async def plan(self, job: Job, request: Updates, hotkey: Hotkey) -> Plan:
        """Plan a job by the state of the newest block.

        Raises:
            FailureError: the chain did not answer.
            RefusedError: the chain would refuse every job of this kind.
        """
        ...

    async def next_allowed_block(self, job: Job, hotkey: Hotkey) -> BlockNumber:
        """Return the first block that may accept a job which a rate limit has just refused.

        Raises:
            FailureError: the chain did not answer.
        """
        ...


def would_change(job: Job, updates: Updates) -> bool:
    """Return whether updates would change a job."""
    return any(getattr(job, name) != value for name, value in updates.items())


def unreadable_request() -> Finish:
    """Return the end of a job whose stored request this version cannot read."""
    return Finish(
        JobState.REJECTED,
        FailureError(ErrorCode.INVALID, "The stored request cannot be read.").failure,
    )


def expiry_failure(job: Job, deadline_block: BlockNumber) -> Failure:
    """Return the failure of an expired job: its last error, or else that its deadline passed."""
    return (
        job.last_error
        or FailureError(
            ErrorCode.EXPIRED, f"The deadline passed at block {deadline_block}."
        ).failure
    )
