"""The marker of the extrinsic that was submitted last with a hotkey."""

import pytest

from pylon.jetstream.bucket import ABSENT, ConflictError
from pylon.jetstream.consumer import Nak
from pylon.jobs.in_flight_markers import InFlightMarker, InFlightMarkers, Submission
from pylon_client.contract.jobs import ExtrinsicRecord, Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey
from tests.support.product.adversary import World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import ALICE, SIGNER, SimulatedJobs

HOTKEY = Hotkey(SIGNER.ss58_address)


def extrinsic(nonce: int) -> ExtrinsicRecord:
    return ExtrinsicRecord(
        hash=f"0x{nonce:064x}", nonce=nonce, era_birth=BlockNumber(100 + nonce), era_period=8
    )


def submission_of(job: Job, nonce: int = 1) -> Submission:
    return Submission(
        identity=ALICE, job_id=job.job_id, extrinsic=extrinsic(nonce), genesis=job.genesis
    )


async def submitting(system: SimulatedJobs, number: int) -> Job:
    """Return a job that its worker left while it submitted."""
    job = await system.accept({address(number): 1.0})
    await system.overwrite_job(job, state=JobState.SUBMITTING, extrinsic=extrinsic(number))
    return (await system.stored(job)).job


async def test_a_new_hotkey_has_no_submission() -> None:
    marker = await InFlightMarkers(World().process()).get(HOTKEY)
    assert marker == InFlightMarker(None, ABSENT)


async def test_a_submission_is_stored_by_compare_and_set() -> None:
    system = SimulatedJobs(World())
    markers = system.store.in_flight
    job = await system.accept()
    empty = await markers.get(HOTKEY)
    written = await markers.set(empty, HOTKEY, submission_of(job))
    assert written == await markers.get(HOTKEY)
    assert written.submission == submission_of(job)
    with pytest.raises(ConflictError):
        await markers.set(empty, HOTKEY, submission_of(job, nonce=2))
    assert await markers.get(Hotkey(address(9))) == InFlightMarker(None, ABSENT)


async def test_a_submission_is_in_flight_while_its_job_has_no_outcome() -> None:
    system = SimulatedJobs(World())
    markers = system.store.in_flight
    job = await submitting(system, 3)
    assert await markers.is_in_flight(submission_of(job, nonce=3))
    assert not await markers.is_in_flight(submission_of(job, nonce=4)), "of an earlier attempt"
    await system.overwrite_job(job, state=JobState.UNKNOWN)
    assert await markers.is_in_flight(submission_of(job, nonce=3))
    await system.overwrite_job(job, state=JobState.WAITING)
    assert not await markers.is_in_flight(submission_of(job, nonce=3))


async def test_a_submission_of_an_unreadable_job_may_be_in_flight() -> None:
    system = SimulatedJobs(World())
    job = await submitting(system, 3)
    system.overwrite(f"job.alice.{job.job_id}")
    assert await system.store.in_flight.is_in_flight(submission_of(job, nonce=3))
    del system.world.store[f"job.alice.{job.job_id}"]
    assert not await system.store.in_flight.is_in_flight(submission_of(job, nonce=3))


async def test_an_unreadable_marker_names_the_submission_whose_era_ends_last() -> None:
    system = SimulatedJobs(World())
    system.overwrite(f"sent.{HOTKEY}")
    assert (await system.store.in_flight.get(HOTKEY)).submission is None
    await submitting(system, 3)
    last = await submitting(system, 5)
    await system.overwrite_job(await submitting(system, 7), state=JobState.CONFIRMED)
    marker = await system.store.in_flight.get(HOTKEY)
    assert marker.submission == submission_of(last, nonce=5)
    assert marker.revision == system.world.store[f"sent.{HOTKEY}"].revision


async def test_an_unreadable_in_flight_marker_waits_for_jobs_in_flight() -> None:
    system = SimulatedJobs(World())
    first = await system.accept({address(3): 1.0})
    assert (await system.run_until_ended(first)).state is JobState.CONFIRMED
    # The state that a worker leaves which crashes between the job store and the node.
    await system.overwrite_job(first, state=JobState.SUBMITTING)
    system.overwrite(f"sent.{SIGNER.ss58_address}")
    following = await system.accept({address(4): 1.0})
    assert isinstance(await system.executor.execute(ALICE, following.job_id), Nak)
    assert len(system.world.sent) == 1
    assert (await system.run_until_ended(first)).state is JobState.CONFIRMED
    assert (await system.run_until_ended(following)).state is JobState.CONFIRMED
