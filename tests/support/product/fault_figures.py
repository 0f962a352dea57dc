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
        responses: writes with a response: a job, or a failure.
        missing: accepted jobs that are no longer found.
        unended: jobs that did not end.
        ended_twice: jobs with events of more than one final state.
        expired_early: jobs that expired before the end of their epoch or their deadline.
        states: the final states of the jobs.
        reasons: the error codes of the jobs that did not succeed.
        failures_by_code: the error codes of writes without a job.
        healed: identities whose write succeeded after the last fault.
        applied: extrinsics on the chain that succeeded.
        mismatched: applied extrinsics that belong to no successful job, and successful jobs
            whose extrinsic is not on the chain.
        most_in_flight: maximum number of extrinsics of one hotkey in the node's pool at once.
        steps: number of deaths of a signer, by step.
        faults: the other faults that were injected.
        remarks: details of failed, early expired and mismatched jobs and extrinsics.
        seconds: duration of the run.
    """

    responses: int = 0
    missing: int = 0
    unended: int = 0
    ended_twice: int = 0
    expired_early: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    failures_by_code: Counter[str] = field(default_factory=Counter[str])
    healed: int = 0
    applied: int = 0
    mismatched: int = 0
    most_in_flight: int = 0
    steps: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    remarks: list[str] = field(default_factory=list[str])
    seconds: int = 0

    @property
    def is_good(self) -> bool:
        wrong = (
            self.missing + self.unended + self.ended_twice + self.expired_early + self.mismatched
        )
        return not wrong and self.most_in_flight <= 1

    def compare(
        self,
        jobs: Mapping[str, Job],
        final_states: Mapping[str, set[str]],
        on_chain: Sequence[ChainExtrinsic],
        epochs: Mapping[int, Mapping[int, int]],
    ) -> None:
        """Compare the jobs with their published final states and with the extrinsics on the chain.

        Args:
            jobs: by id.
            final_states: the final states that were published, by job.
            on_chain: the extrinsics on the chain.
            epochs: by subnet, the first blocks of its epochs and their times, in ms.
        """
        self.unended = sum(not job.has_ended for job in jobs.values())
        self.ended_twice = sum(len(states) > 1 for states in final_states.values())
        self.states = Counter(str(job.state) for job in jobs.values())
        self.reasons = Counter(
            f"{job.state}: {job.last_error.code}"
            for job in jobs.values()
            if job.last_error and not job.has_succeeded
        )
        early = [job for job in jobs.values() if _expired_early(job, epochs)]
        self.expired_early = len(early)
        applied = Counter(one.hash for one in on_chain if one.succeeded)
        self.applied = applied.total()
        expected = Counter(
            job.extrinsic.hash for job in jobs.values() if job.has_succeeded and job.extrinsic
        )
        self.mismatched = (applied - expected).total() + (expected - applied).total()
        self.remarks = [
            f"{job.job_id} of {job.identity} ended as {job.state}: {job.last_error}"
            for job in jobs.values()
            if job.state is JobState.FAILED
        ]
        self.remarks += [f"expired early: {job!r}" for job in early]
        for hash_ in {**(applied - expected), **(expected - applied)}:
            self.remarks.append(f"{hash_} is in {[one for one in on_chain if one.hash == hash_]}")
            self.remarks += [
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
    # If the chain was unavailable when the job was accepted, only times can be compared.
    return made_at_ms <= job.created_at_ms if accepted is None else deadline <= accepted
