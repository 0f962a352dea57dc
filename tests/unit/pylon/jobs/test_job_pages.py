"""Pages of jobs: together they have every job, each within its limits."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pylon.jobs import job_pages
from pylon.jobs.job_store import JobStore
from pylon.jobs.stored_job import JobRecord
from pylon_client.contract import wire
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import IdentityName, JobId, JobKind, MechanismId, NetUid
from pylon_client.contract.writes import ListJobs
from tests.support.product.adversary import World

ALICE = IdentityName("alice")
BOB = IdentityName("bob")


async def not_announced(_: Job) -> None:
    pass


def new_job(number: int, identity: IdentityName = ALICE, created_at_ms: int | None = None) -> Job:
    digits = "".join("abcdefghij"[int(digit)] for digit in f"{number:026d}")
    at_ms = 1000 + number if created_at_ms is None else created_at_ms
    return Job(
        job_id=JobId(digits),
        identity=identity,
        netuid=NetUid(1),
        kind=JobKind.WEIGHTS,
        mechanism=MechanismId(0),
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


class Desk:
    def __init__(self) -> None:
        self.world = World()
        self.ledger = JobStore(self.world.process(), not_announced, ended_retention_days=7)

    async def create(self, number: int, identity: IdentityName = ALICE, **given: Any) -> Job:
        job = new_job(number, identity, **given)
        record = JobRecord(job=job, number=number, digest="", request={})
        return (await self.ledger.create(record)).job

    async def end(self, job: Job, **updates: Any) -> None:
        held = await self.ledger.get(job.identity, job.job_id)
        assert held is not None
        await self.ledger.change(held, JobState.EXPIRED, **updates)

    async def pages(self, **asked: Any) -> list[list[Job]]:
        found: list[list[Job]] = []
        before = None
        while True:
            page = await self.ledger.page(ALICE, ListJobs(before=before, **asked))
            found.append([held.job for held in page.jobs])
            before = page.next
            if before is None:
                return found


def ids(jobs: list[Job]) -> list[JobId]:
    return [job.job_id for job in jobs]


async def test_a_page_is_newest_first_and_says_what_follows() -> None:
    desk = Desk()
    jobs = [await desk.create(number) for number in range(10)]
    await desk.create(10, BOB)
    for job in jobs[:7]:
        await desk.end(job)
    found = await desk.pages(limit=4)
    assert [len(page) for page in found] == [4, 4, 2]
    assert [job for page in found for job in ids(page)] == ids(jobs)[::-1]
    assert len(await desk.pages()) == 1


async def test_the_newest_job_is_the_first_of_a_page_whatever_its_state() -> None:
    desk = Desk()
    followed, ended = await desk.create(1), await desk.create(2)
    await desk.end(ended)
    assert [ids(page) for page in await desk.pages()] == [ids([ended, followed])]


async def test_a_state_picks_the_open_or_the_ended_jobs() -> None:
    desk = Desk()
    jobs = [await desk.create(number) for number in range(9)]
    for job in jobs[::2]:
        await desk.end(job)
    for limit in (1, 2, 100):
        of_open = await desk.pages(limit=limit, state="open")
        assert [job for page in of_open for job in ids(page)] == ids(jobs[1::2])[::-1]
        of_ended = await desk.pages(limit=limit, state="ended")
        assert [job for page in of_ended for job in ids(page)] == ids(jobs[::2])[::-1]


async def test_large_jobs_make_a_page_short(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    jobs = [await desk.create(number) for number in range(6)]
    for job in jobs[:3]:
        await desk.end(job)
    size = len(jobs[0].model_dump_json())
    monkeypatch.setattr(job_pages, "PAGE_MAX_BYTES", 1.5 * size)
    found = await desk.pages()
    assert max(map(len, found)) == 2
    assert [job for page in found for job in ids(page)] == ids(jobs)[::-1]


async def test_an_entry_that_cannot_be_read_hides_no_other() -> None:
    desk = Desk()
    jobs = [await desk.create(number) for number in range(5)]
    for job in jobs:
        await desk.end(job)
    key = f"job.alice.{jobs[2].job_id}"
    entry = desk.world.store[key]
    desk.world.store[key] = type(entry)(key, b"{", entry.revision)
    found = await desk.pages(limit=2)
    assert [job for page in found for job in ids(page)] == ids(jobs[:2] + jobs[3:])[::-1]


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 5),
    steps=st.lists(st.sampled_from(["create", "end", "page"]), min_size=5, max_size=40),
    random=st.randoms(use_true_random=False),
)
async def test_no_job_is_missed_that_is_there_from_the_first_page_to_the_last(
    limit: int, steps: list[str], random: Random
) -> None:
    desk = Desk()
    running: list[Job] = []
    at_first: set[JobId] = set()
    seen: list[JobId] = []
    before: str | None = None
    is_over = False

    async def page() -> None:
        nonlocal before, is_over
        if before is None:
            at_first.update(
                JobId(key.rpartition(".")[2]) for key in desk.world.store if key.startswith("job.")
            )
        found = await desk.ledger.page(ALICE, ListJobs(limit=limit, before=before))
        assert len(found.jobs) <= limit
        seen.extend(held.job.job_id for held in found.jobs)
        before = found.next
        is_over = before is None

    for number, step in enumerate(steps):
        if step == "create":
            running.append(await desk.create(number))
        elif step == "end" and running:
            await desk.end(running.pop(random.randrange(len(running))))
        elif step == "page" and not is_over:
            await page()
    while not is_over:
        await page()
    assert at_first <= set(seen)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 1001},
        {"before": ""},
        {"before": "open.1"},
        {"before": "ended.-1"},
        {"before": "a" * 26},
        {"state": "CONFIRMED"},
    ],
)
def test_what_cannot_be_asked_for_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ListJobs.model_validate(wrong)


def test_a_list_as_older_workers_know_it_has_no_parameters() -> None:
    assert wire.encode(ListJobs()) == b"{}"
    assert wire.encode(ListJobs(limit=3, before="ended.7")) == b'{"limit":3,"before":"ended.7"}'
