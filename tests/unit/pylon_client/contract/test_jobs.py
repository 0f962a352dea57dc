import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon_client.contract.jobs import (
    ENDED,
    IN_FLIGHT,
    SUCCEEDED,
    TRANSITIONS,
    ExtrinsicRecord,
    Job,
    JobState,
)
from pylon_client.contract.types import BlockNumber, IdentityName, JobId, JobKind, NetUid


def reachable(state: JobState) -> set[JobState]:
    seen: set[JobState] = set()
    ahead = [state]
    while ahead:
        seen.add(current := ahead.pop())
        ahead += TRANSITIONS[current] - seen
    return seen


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(JobState)


@pytest.mark.parametrize("state", sorted(set(JobState) - ENDED))
def test_every_open_state_can_reach_success(state: JobState) -> None:
    assert reachable(state) & SUCCEEDED


def test_final_states_have_no_transitions() -> None:
    assert {
        JobState.CONFIRMED,
        JobState.REVEALED,
        JobState.SUPERSEDED,
        JobState.EXPIRED,
        JobState.REJECTED,
        JobState.CANCELLED,
        JobState.FAILED,
    } == ENDED


def test_only_a_job_that_was_not_submitted_can_be_cancelled() -> None:
    leading = {state for state, following in TRANSITIONS.items() if JobState.CANCELLED in following}
    assert leading == {JobState.ACCEPTED, JobState.WAITING}


def test_success_is_reached_only_through_a_recorded_extrinsic() -> None:
    leading = {state for state, following in TRANSITIONS.items() if following & SUCCEEDED}
    assert leading == IN_FLIGHT | {JobState.COMMITTED}
    assert TRANSITIONS[JobState.COMMITTED] & SUCCEEDED == {JobState.REVEALED}


@pytest.mark.parametrize("kind", JobKind)
def test_only_an_encrypted_commitment_continues_after_it_is_on_the_chain(kind: JobKind) -> None:
    job = Job(
        job_id=JobId("a" * 26),
        identity=IdentityName("alice"),
        netuid=NetUid(1),
        kind=kind,
        state=JobState.COMMITTED,
        created_at_ms=0,
        updated_at_ms=0,
    )
    assert job.has_succeeded
    assert job.has_ended == (kind is not JobKind.REVEALED_COMMITMENT)


def test_unknown_never_leads_straight_to_another_submission() -> None:
    assert JobState.SUBMITTING not in TRANSITIONS[JobState.UNKNOWN]


@given(st.integers(0, 2**31), st.sampled_from([4, 8, 16, 64]))
def test_an_extrinsic_is_valid_for_its_period(birth: int, period: int) -> None:
    record = ExtrinsicRecord(
        hash="0x" + "0" * 64, nonce=0, era_birth=BlockNumber(birth), era_period=period
    )
    assert record.last_valid_block - record.era_birth + 1 == period


def test_a_job_survives_the_wire() -> None:
    job = Job(
        job_id=JobId("a" * 26),
        identity=IdentityName("sn1"),
        netuid=NetUid(1),
        kind=JobKind.COMMITMENT,
        created_at_ms=1,
        updated_at_ms=1,
    )
    assert Job.model_validate_json(job.model_dump_json()) == job
