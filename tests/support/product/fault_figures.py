"""Results of a run of jobs under faults: the jobs, and the extrinsics on the chain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pylon.jobs.deadlines import DEADLINE_BLOCKS
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind
from tests.support.product.chain_extrinsics import ChainExtrinsic


@dataclass
class Figures:
    """Results of a run.

    Attributes:
        asked: writes that were answered, with a job or with how it ended.
        missing: answered jobs that nobody knows any more.
        unended: jobs that did not end.
        ended_twice: jobs that were told to have ended in more than one way.
        expired_early: jobs that expired although their epoch, or their term, had not ended.
        states: how the jobs ended.
        reasons: the error codes of the jobs that did not succeed.
        refused: the codes of writes that became no job.
        healed: identities whose write succeeded once all was left in peace.
        applied: extrinsics on the chain that succeeded.
        doubled: extrinsics on the chain of no successful job, of a job with another, or missing.
        most_in_flight: the most extrinsics of one hotkey that were in the node's pool at once.
        steps: how often a signer died at which step.
        faults: the other faults that were injected.
        odd: the jobs that failed, and extrinsics that are on the chain without a job's success or
            the other way round.
        seconds: how long it took.
    """

    asked: int = 0
    missing: int = 0
    unended: int = 0
    ended_twice: int = 0
    expired_early: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    healed: int = 0
    applied: int = 0
    doubled: int = 0
    most_in_flight: int = 0
    steps: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    odd: list[str] = field(default_factory=list[str])
    seconds: int = 0

    @property
    def is_good(self) -> bool:
        wrong = self.missing + self.unended + self.ended_twice + self.expired_early + self.doubled
        return not wrong and self.most_in_flight <= 1

    def compare(
        self,
        jobs: Mapping[str, Job],
        endings: Mapping[str, set[str]],
        there: Sequence[ChainExtrinsic],
        epochs: Mapping[int, Mapping[int, int]],
    ) -> None:
        """Compare the jobs with the ends that were published and with what the chain holds.

        Args:
            jobs: by id.
            endings: the final states that were published, by job.
            there: the extrinsics on the chain.
            epochs: by subnet, the first blocks of its epochs and when they were made, in ms.
        """
        self.unended = sum(not job.has_ended for job in jobs.values())
        self.ended_twice = sum(len(states) > 1 for states in endings.values())
        self.states = Counter(str(job.state) for job in jobs.values())
        self.reasons = Counter(
            f"{job.state}: {job.last_error.code}"
            for job in jobs.values()
            if job.last_error and not job.has_succeeded
        )
        early = [job for job in jobs.values() if _expired_early(job, epochs)]
        self.expired_early = len(early)
        applied = Counter(one.hash for one in there if one.succeeded)
        self.applied = applied.total()
        wanted = Counter(
            job.extrinsic.hash for job in jobs.values() if job.has_succeeded and job.extrinsic
        )
        self.doubled = (applied - wanted).total() + (wanted - applied).total()
        self.odd = [
            f"{job.job_id} of {job.identity} ended as {job.state}: {job.last_error}"
            for job in jobs.values()
            if job.state is JobState.FAILED
        ]
        self.odd += [f"expired early: {job!r}" for job in early]
        for hash_ in {**(applied - wanted), **(wanted - applied)}:
            self.odd.append(f"{hash_} is in {[one for one in there if one.hash == hash_]}")
            self.odd += [
                f"{hash_} is of {job!r}"
                for job in jobs.values()
                if job.extrinsic and job.extrinsic.hash == hash_
            ]


def _expired_early(job: Job, epochs: Mapping[int, Mapping[int, int]]) -> bool:
    if job.state is not JobState.EXPIRED:
        return False
    accepted, deadline = job.accepted_block, job.deadline_block
    if deadline is None:
        return True
    if job.kind is not JobKind.WEIGHTS:
        return accepted is None or deadline < accepted + DEADLINE_BLOCKS
    made_at_ms = epochs[job.netuid].get(deadline)
    if made_at_ms is None:
        return True
    # Where the chain was away at its acceptance, only times can be compared.
    return made_at_ms <= job.created_at_ms if accepted is None else deadline <= accepted
