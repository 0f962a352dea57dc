"""Jobs: accepted writes to the chain, their states, and the transitions between them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from pylon_client.contract.failures import Failure
from pylon_client.contract.types import (
    BlockNumber,
    Hotkey,
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
    Revision,
)

ENDED_JOBS_RETENTION_DAYS: Final = 7
JOBS_PER_PAGE: Final = 100
"""Default number of jobs in a page of a list."""
MAX_JOBS_PER_PAGE: Final = 1000


class JobState(StrEnum):
    """The state of a job.

    ACCEPTED: stored, not processed yet.
    WAITING: waits for the next attempt, at once or at `retry_at_block`.
    SUBMITTING: an extrinsic is signed and recorded, and may have been sent.
    UNKNOWN: the reply to a submission was lost; only the chain's state decides.
    COMMITTED: weights or a text are on the chain, timelocked until `reveal_round`. Weights end in
        this state; a text is tracked until the chain has revealed it.
    CONFIRMED: the write is on the chain, in a finalized block.
    REVEALED: the chain has revealed the timelocked text.
    SUPERSEDED: a newer job of the same queue replaced it before its submission, or a later
        commitment replaced a timelocked one before its reveal.
    EXPIRED: its deadline passed before the chain accepted it; see `last_error`.
    REJECTED: it cannot succeed.
    CANCELLED: its identity cancelled it before its submission.
    FAILED: all attempts failed, or the chain could not reveal the text.
    """

    ACCEPTED = "ACCEPTED"
    WAITING = "WAITING"
    SUBMITTING = "SUBMITTING"
    UNKNOWN = "UNKNOWN"
    COMMITTED = "COMMITTED"
    CONFIRMED = "CONFIRMED"
    REVEALED = "REVEALED"
    SUPERSEDED = "SUPERSEDED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


_UNSUCCESSFUL: Final = frozenset(
    {JobState.SUPERSEDED, JobState.EXPIRED, JobState.REJECTED, JobState.FAILED}
)
_ON_CHAIN: Final = frozenset({JobState.COMMITTED, JobState.CONFIRMED})
_AFTER_REVEAL: Final = frozenset({JobState.REVEALED, JobState.FAILED, JobState.SUPERSEDED})
_TERMINAL: Final = _UNSUCCESSFUL | {JobState.CONFIRMED, JobState.REVEALED, JobState.CANCELLED}

TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.ACCEPTED: _UNSUCCESSFUL | {JobState.CANCELLED, JobState.WAITING, JobState.SUBMITTING},
    JobState.WAITING: _UNSUCCESSFUL | {JobState.CANCELLED, JobState.SUBMITTING},
    # Back to WAITING only if the extrinsic provably is not and will not be on the chain.
    JobState.SUBMITTING: _UNSUCCESSFUL | _ON_CHAIN | {JobState.UNKNOWN, JobState.WAITING},
    JobState.UNKNOWN: _UNSUCCESSFUL | _ON_CHAIN | {JobState.WAITING},
    JobState.COMMITTED: _AFTER_REVEAL,  # timelocked commitments only
    **{state: frozenset[JobState]() for state in _TERMINAL},
}
"""All allowed transitions. A job may also change without a transition until it has ended."""

ENDED: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)
SUCCEEDED: Final = _ON_CHAIN | {JobState.REVEALED}
IN_FLIGHT: Final = frozenset({JobState.SUBMITTING, JobState.UNKNOWN})
"""States with an extrinsic that may be in flight; no other may be sent with the hotkey."""


class ExtrinsicRecord(BaseModel):
    """A signed extrinsic, recorded before it is sent, so that it can be searched on the chain.

    Attributes:
        hash: 0x and 64 hexadecimal digits, blake2b-256 of the extrinsic's bytes.
        nonce: the nonce of the hotkey's account.
        era_birth: the first block at which it is valid.
        era_period: the number of blocks for which it is valid.
    """

    model_config = ConfigDict(frozen=True)

    hash: str
    nonce: int
    era_birth: BlockNumber
    era_period: int

    @property
    def last_valid_block(self) -> BlockNumber:
        """Return the last block that may include it."""
        return BlockNumber(self.era_birth + self.era_period - 1)


class LeftOut(BaseModel):
    """A hotkey whose weight was not submitted, and the reason."""

    model_config = ConfigDict(frozen=True)

    hotkey: Hotkey
    reason: str


class Job(BaseModel):
    """An accepted write and its current state.

    Attributes:
        mechanism: for weights, the subnet's mechanism; otherwise None.
        created_at_ms: time of creation, in milliseconds since the Unix epoch.
        updated_at_ms: time of the last change, in milliseconds since the Unix epoch.
        count: the number of requested items: weights, or one.
        attempts: the number of signed extrinsics and rejected attempts.
        last_error: the last error; None once the write is on the chain.
        accepted_block: the newest known block when the job was accepted.
        submitted_block: the newest known block when its last extrinsic was signed.
        included_block: the finalized block with its extrinsic.
        deadline_block: the first block at which it is no longer tried.
        epoch_block: for weights, the first block of their epoch.
        genesis: hash of the chain's first block.
        window_open_block: the first block of the epoch in which timelocked weights are revealed.
        window_close_block: the first block after that epoch.
        reveal_round: the drand round at which timelocked content is revealed.
        retry_at_block: the first block at which a limit of the chain allows the next attempt.
        left_out: weights that were not submitted.
        extrinsic: the last signed extrinsic.
        hotkey: the signer of that extrinsic.
        superseded_by: the job that replaced this one.
        fence: the revision of the lease under which the extrinsic was signed.
    """

    model_config = ConfigDict(frozen=True)

    job_id: JobId
    identity: IdentityName
    netuid: NetUid
    kind: JobKind
    mechanism: MechanismId | None = None
    state: JobState = JobState.ACCEPTED
    created_at_ms: int
    updated_at_ms: int
    count: int = 1
    attempts: int = 0
    last_error: Failure | None = None
    accepted_block: BlockNumber | None = None
    submitted_block: BlockNumber | None = None
    included_block: BlockNumber | None = None
    deadline_block: BlockNumber | None = None
    epoch_block: BlockNumber | None = None
    genesis: str | None = None
    window_open_block: BlockNumber | None = None
    window_close_block: BlockNumber | None = None
    reveal_round: int | None = None
    retry_at_block: BlockNumber | None = None
    left_out: list[LeftOut] = Field(default_factory=list[LeftOut])
    extrinsic: ExtrinsicRecord | None = None
    hotkey: Hotkey | None = None
    superseded_by: JobId | None = None
    fence: Revision | None = None

    @property
    def has_ended(self) -> bool:
        """Return whether the job has ended."""
        if self.state is JobState.COMMITTED:
            return self.kind is not JobKind.REVEALED_COMMITMENT
        return self.state in ENDED

    @property
    def has_succeeded(self) -> bool:
        """Return whether the write is on the chain, in plain or timelocked form."""
        return self.state in SUCCEEDED


class JobList(BaseModel):
    """A page of the jobs of one identity, newest first.

    Attributes:
        jobs: the jobs of this page.
        next: value of `before` for the next page; None on the last page.
    """

    model_config = ConfigDict(frozen=True)

    jobs: list[Job]
    next: str | None = None
