"""Jobs: writes to the chain that were accepted, the states they pass through, and how they end."""

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

ENDED_JOBS_KEPT_DAYS: Final = 7
JOBS_PER_PAGE: Final = 100
"""Jobs in a page of a list when the request does not say how many."""
JOBS_PER_PAGE_MAX: Final = 1000


class JobState(StrEnum):
    """Where a job is.

    ACCEPTED: durable, and not yet looked at.
    WAITING: to be tried again, at once or from `retry_at_block` on.
    SUBMITTING: an extrinsic is signed and recorded, and may have been sent.
    UNKNOWN: the reply to a submission was lost; left only by what the chain shows.
    COMMITTED: weights or a text are on the chain, sealed until `reveal_round`. Weights end so;
        a sealed commitment is followed until the chain has opened it.
    CONFIRMED: what was asked is on the chain, in a final block.
    REVEALED: the chain has opened the sealed commitment, and shows its text.
    SUPERSEDED: a newer job of its lane took its place before it was submitted, or a later
        commitment replaced a sealed one before it was opened.
    EXPIRED: its time was over before the chain took it; `last_error` says what stood in the way.
    REJECTED: it can never succeed as it is.
    CANCELLED: its identity cancelled it before it was submitted.
    FAILED: it was tried as often as the settings allow, or the chain could not open it.
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
    # Back to WAITING only with proof that the extrinsic is not, and will never be, on the chain.
    JobState.SUBMITTING: _UNSUCCESSFUL | _ON_CHAIN | {JobState.UNKNOWN, JobState.WAITING},
    JobState.UNKNOWN: _UNSUCCESSFUL | _ON_CHAIN | {JobState.WAITING},
    JobState.COMMITTED: _AFTER_REVEAL,  # of a sealed commitment alone
    **{state: frozenset[JobState]() for state in _TERMINAL},
}
"""Every change of state that there is. A job may also be amended without leaving its state, until
it has ended."""

ENDED: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)
SUCCEEDED: Final = _ON_CHAIN | {JobState.REVEALED}
IN_FLIGHT: Final = frozenset({JobState.SUBMITTING, JobState.UNKNOWN})
"""An extrinsic of the job may be on its way: nothing else may be sent with its hotkey."""


class ExtrinsicRecord(BaseModel):
    """What was signed, written down before it is sent, so that it can be looked for afterwards.

    Attributes:
        hash: 0x and 64 hexadecimal digits, blake2b-256 of the extrinsic's bytes.
        nonce: of the hotkey's account.
        era_birth: the first block at which it is valid.
        era_period: for how many blocks it is valid; after that it can never be included.
    """

    model_config = ConfigDict(frozen=True)

    hash: str
    nonce: int
    era_birth: BlockNumber
    era_period: int

    @property
    def last_valid_block(self) -> BlockNumber:
        """The highest block that may still include it."""
        return BlockNumber(self.era_birth + self.era_period - 1)


class LeftOut(BaseModel):
    """A hotkey whose weight was not sent, and why."""

    model_config = ConfigDict(frozen=True)

    hotkey: Hotkey
    reason: str


class Job(BaseModel):
    """A write that was accepted, as far as it has come.

    Attributes:
        mechanism: for weights, which mechanism they are for; else None.
        created_at_ms: since the Unix epoch; `updated_at_ms` likewise.
        count: how many items were asked for: weights, or one.
        attempts: how often it was tried; each signed extrinsic and each refusal is one.
        last_error: what went wrong last; None once it is on the chain.
        accepted_block: the newest block when it was accepted, as far as was known then.
        submitted_block: the newest block when its extrinsic was last signed.
        included_block: the final block that holds its extrinsic.
        deadline_block: from this block on it is no longer tried.
        epoch_block: for weights, the first block of the epoch that they are for.
        genesis: hash of the first block of the chain that it is for.
        window_open_block: the first block of the epoch in which sealed weights are revealed.
        window_close_block: the first block after that epoch.
        reveal_round: the drand round at which sealed content opens.
        retry_at_block: where it waits for a limit of the chain, the first block that may take it.
        left_out: weights that were not sent.
        extrinsic: the last that was signed for it.
        hotkey: with which that was signed.
        superseded_by: the job that took its place.
        fence: the revision of the lease under which its extrinsic was signed.
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
        """Whether nothing more will happen to it."""
        if self.state is JobState.COMMITTED:
            return self.kind is not JobKind.REVEALED_COMMITMENT
        return self.state in ENDED

    @property
    def has_succeeded(self) -> bool:
        """Whether what was asked is on the chain, or was put there sealed."""
        return self.state in SUCCEEDED


class JobList(BaseModel):
    """Some of the jobs of one identity, newest first.

    Attributes:
        jobs: those of this page.
        next: what to ask for as `before` to get the page that follows; None on the last page.
    """

    model_config = ConfigDict(frozen=True)

    jobs: list[Job]
    next: str | None = None
