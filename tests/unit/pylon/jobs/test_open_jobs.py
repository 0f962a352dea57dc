"""The index of open jobs contains every open job after any fault, and few surplus markers."""

import contextlib
from random import Random

import pytest

from pylon.jobs import open_jobs
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.job_store import JobStore
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from tests.support.product.adversary import Crash, Fault, Process, World
from tests.support.product.fake_signers import signers_of

ALICE = IdentityName("alice")
BOB = IdentityName("bob")
KINDS = (JobKind.COMMITMENT, JobKind.WEIGHTS)


async def ignore_change(_: Job) -> None:
    pass


def store_of(process: Process) -> JobStore:
    return JobStore(process, ignore_change, ended_retention_days=7)


def acceptor_of(process: Process) -> JobAcceptor:
    return JobAcceptor(store_of(process), process, process, signers_of(ALICE, BOB))


def commitment(number: int, identity: IdentityName = ALICE) -> WriteRequest:
    return WriteRequest(
        identity=identity,
        netuid=NetUid(1),
        kind=JobKind.COMMITMENT,
        params={"commitment": f"0x{number:04x}"},
    )


async def end(store: JobStore, job: Job) -> Job:
    stored = await store.get(job.identity, job.job_id)
    assert stored is not None
    return (await store.change(stored, JobState.CANCELLED)).job


async def open_ids(world: World, identity: IdentityName = ALICE) -> list[JobId]:
    stored = await store_of(world.process()).open_jobs(identity)
    return [one.job.job_id for one in stored]


def markers(world: World, identity: IdentityName = ALICE) -> set[str]:
    prefixes = tuple(f"open.{identity}.{kind}." for kind in KINDS)
    return {key for key in world.store if key.startswith(prefixes)}


def forget_markers(world: World) -> None:
    """Remove all markers, as in a job store of an older version."""
    world.has_markers = False
    for key in list(world.store):
        if key.startswith(("open.", "indexed.")):
            del world.store[key]


async def test_a_job_is_open_until_it_has_ended() -> None:
    world = World()
    store = store_of(world.process())
    job = await acceptor_of(world.process()).accept(commitment(1))
    assert await open_ids(world) == [job.job_id]
    assert await open_ids(world, BOB) == []
    assert await store.open_jobs(ALICE, JobKind.WEIGHTS) == []
    await end(store, job)
    assert await open_ids(world) == []
    assert markers(world) == set()


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_REPLY])
async def test_a_crash_at_any_step_leaves_every_open_job_in_the_index(fault: Fault) -> None:
    step = 0
    while True:
        world = World({step: fault}, random=Random(step))  # noqa: S311 -- guards nothing
        try:
            await acceptor_of(world.process()).accept(commitment(1))
        except (Crash, FailureError):
            pass
        else:
            if world.steps <= step:
                break
        assert world.broken == []
        written = {key.rpartition(".")[2] for key in world.store if key.startswith("job.")}
        assert set(await open_ids(world)) == written
        world.queued.clear()
        acceptor = acceptor_of(world.process())
        assert await acceptor.requeue_open_jobs(ALICE, JobKind.COMMITMENT) == len(written)
        assert world.queued == written
        step += 1
    assert step > 5


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_REPLY])
async def test_the_marker_of_an_ended_job_is_removed_by_the_next_reader(fault: Fault) -> None:
    step = 0
    while True:
        world = World()
        job = await acceptor_of(world.process()).accept(commitment(1))
        first = world.steps
        world.faults[first + step] = fault
        with contextlib.suppress(Crash, FailureError):
            await end(store_of(world.process()), job)
        if world.steps <= first + step:
            break
        world.faults.clear()
        stored = await store_of(world.process()).get(ALICE, job.job_id)
        assert stored is not None
        assert await open_ids(world) == [] if stored.job.has_ended else [job.job_id]
        assert len(markers(world)) == (0 if stored.job.has_ended else 1)
        assert world.broken == []
        step += 1
    assert step > 2


async def test_a_marker_without_a_job_is_removed_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    process = world.process()
    index = open_jobs.OpenJobs(process)
    job = await acceptor_of(process).accept(commitment(1))
    del world.store[f"job.alice.{job.job_id}"]
    assert await index.list_jobs(ALICE) == []
    assert len(markers(world)) == 1, "the job may be about to be written"
    assert await index.list_jobs(ALICE, JobKind.WEIGHTS) == []
    await index.mark(job)
    monkeypatch.setattr(open_jobs, "ORPHAN_AFTER_S", 0.0)
    assert await index.list_jobs(ALICE) == []
    assert markers(world) == set()


async def test_a_late_removal_leaves_the_marker_of_a_new_job_with_the_same_id() -> None:
    world = World()
    acceptor = acceptor_of(world.process())
    old = await acceptor.accept(commitment(1))
    marker = world.store[f"open.alice.commitment.{old.job_id}"]
    ended = await end(store_of(world.process()), old)
    world.store.clear()  # the stream was deleted and recreated
    new = await acceptor.accept(commitment(1))
    assert new.job_id == old.job_id
    slow = world.process()
    await slow.remove(marker.key, marker.revision)
    await open_jobs.OpenJobs(slow).unmark(ended)
    assert await open_ids(world) == [new.job_id]
    assert world.broken == []


async def test_open_jobs_of_an_older_version_are_indexed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_jobs, "INDEX_PAGE_SIZE", 3)
    world = World()
    acceptor = acceptor_of(world.process())
    jobs = [await acceptor.accept(commitment(number)) for number in range(10)]
    of_bob = await acceptor.accept(commitment(1, BOB))
    forget_markers(world)
    world.queued.clear()
    assert await acceptor_of(world.process()).requeue_open_jobs(ALICE, JobKind.COMMITMENT) == 1
    assert world.queued == {jobs[-1].job_id}
    assert markers(world) == {f"open.alice.commitment.{jobs[-1].job_id}"}
    assert await open_ids(world, BOB) == [of_bob.job_id]


async def test_an_interrupted_indexing_is_repeated() -> None:
    step = 0
    while True:
        world = World()
        acceptor = acceptor_of(world.process())
        job = await acceptor.accept(commitment(1))
        forget_markers(world)
        first = world.steps
        world.faults[first + step] = Fault.CRASH_BEFORE
        try:
            await open_ids(world)
        except Crash:
            pass
        else:
            break
        assert await open_ids(world) == [job.job_id]
        step += 1
    assert step > 4


async def test_jobs_of_an_older_version_are_indexed_again_after_the_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    acceptor = acceptor_of(world.process())
    await acceptor.accept(commitment(1))
    forget_markers(world)
    assert len(await open_ids(world)) == 1
    late = await acceptor.accept(commitment(2))
    del world.store[f"open.alice.commitment.{late.job_id}"]  # an older worker wrote the job
    assert await open_ids(world) == []
    del world.store["open.alice.indexed"]  # its TTL has passed
    monkeypatch.setattr(open_jobs, "UPGRADE_OVERLAP_S", 0)
    assert await open_ids(world) == [late.job_id]
    assert "open.alice.indexed" in world.store
