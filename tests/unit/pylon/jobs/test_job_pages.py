"""Pages of jobs contain every job, and each keeps its limits."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pylon.jobs import job_pages
from pylon.jobs.job_store import JobStore
from pylon.jobs.stored_job import JobRecord
from pylon_client.contract import json_codec
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import IdentityName, JobId, JobKind, MechanismId, NetUid
from pylon_client.contract.writes import ListJobs
from tests.support.product.adversary import World

ALICE = IdentityName("alice")
BOB = IdentityName("bob")


async def ignore_change(_: Job) -> None:
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


class StoredJobs:
    def __init__(self) -> None:
        self.world = World()
        self.store = JobStore(self.world.process(), ignore_change, ended_retention_days=7)

    async def create(self, number: int, identity: IdentityName = ALICE, **given: Any) -> Job:
        job = new_job(number, identity, **given)
        record = JobRecord(job=job, number=number, digest="", request={})
        return (await self.store.create(record)).job

    async def end(self, job: Job, **updates: Any) -> None:
        stored = await self.store.get(job.identity, job.job_id)
        assert stored is not None
        await self.store.change(stored, JobState.EXPIRED, **updates)

    async def pages(self, **query: Any) -> list[list[Job]]:
        found: list[list[Job]] = []
        before = None
        while True:
            page = await self.store.page(ALICE, ListJobs(before=before, **query))
            found.append([stored.job for stored in page.jobs])
            before = page.next
            if before is None:
                return found


def ids(jobs: list[Job]) -> list[JobId]:
    return [job.job_id for job in jobs]


async def test_a_page_is_newest_first_and_has_a_cursor() -> None:
    jobs_in_store = StoredJobs()
    jobs = [await jobs_in_store.create(number) for number in range(10)]
    await jobs_in_store.create(10, BOB)
    for job in jobs[:7]:
        await jobs_in_store.end(job)
    found = await jobs_in_store.pages(limit=4)
    assert [len(page) for page in found] == [4, 4, 2]
    assert [job for page in found for job in ids(page)] == ids(jobs)[::-1]
    assert len(await jobs_in_store.pages()) == 1


async def test_the_newest_job_is_the_first_of_a_page_whatever_its_state() -> None:
    jobs_in_store = StoredJobs()
    followed, ended = await jobs_in_store.create(1), await jobs_in_store.create(2)
    await jobs_in_store.end(ended)
    assert [ids(page) for page in await jobs_in_store.pages()] == [ids([ended, followed])]


async def test_a_page_can_be_limited_to_open_or_ended_jobs() -> None:
    jobs_in_store = StoredJobs()
    jobs = [await jobs_in_store.create(number) for number in range(9)]
    for job in jobs[::2]:
        await jobs_in_store.end(job)
    for limit in (1, 2, 100):
        of_open = await jobs_in_store.pages(limit=limit, state="open")
        assert [job for page in of_open for job in ids(page)] == ids(jobs[1::2])[::-1]
        of_ended = await jobs_in_store.pages(limit=limit, state="ended")
        assert [job for page in of_ended for job in ids(page)] == ids(jobs[::2])[::-1]


async def test_large_jobs_make_a_page_short(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs_in_store = StoredJobs()
    jobs = [await jobs_in_store.create(number) for number in range(6)]
    for job in jobs[:3]:
        await jobs_in_store.end(job)
    size = len(jobs[0].model_dump_json())
    monkeypatch.setattr(job_pages, "MAX_PAGE_BYTES", 1.5 * size)
    found = await jobs_in_store.pages()
    assert max(map(len, found)) == 2
    assert [job for page in found for job in ids(page)] == ids(jobs)[::-1]


async def test_an_unreadable_entry_hides_no_other_job() -> None:
    jobs_in_store = StoredJobs()
    jobs = [await jobs_in_store.create(number) for number in range(5)]
    for job in jobs:
        await jobs_in_store.end(job)
    key = f"job.alice.{jobs[2].job_id}"
    entry = jobs_in_store.world.store[key]
    jobs_in_store.world.store[key] = type(entry)(key, b"{", entry.revision)
    found = await jobs_in_store.pages(limit=2)
    assert [job for page in found for job in ids(page)] == ids(jobs[:2] + jobs[3:])[::-1]


@settings(max_examples=60)
@given(
    limit=st.integers(1, 5),
    steps=st.lists(st.sampled_from(["create", "end", "page"]), min_size=5, max_size=40),
    random=st.randoms(use_true_random=False),
)
async def test_pages_contain_every_job_that_exists_throughout(
    limit: int, steps: list[str], random: Random
) -> None:
    jobs_in_store = StoredJobs()
    running: list[Job] = []
    at_first: set[JobId] = set()
    seen: list[JobId] = []
    before: str | None = None
    is_over = False

    async def page() -> None:
        nonlocal before, is_over
        if before is None:
            at_first.update(
                JobId(key.rpartition(".")[2])
                for key in jobs_in_store.world.store
                if key.startswith("job.")
            )
        found = await jobs_in_store.store.page(ALICE, ListJobs(limit=limit, before=before))
        assert len(found.jobs) <= limit
        seen.extend(stored.job.job_id for stored in found.jobs)
        before = found.next
        is_over = before is None

    for number, step in enumerate(steps):
        if step == "create":
            running.append(await jobs_in_store.create(number))
        elif step == "end" and running:
            await jobs_in_store.end(running.pop(random.randrange(len(running))))
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
def test_invalid_list_parameters_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ListJobs.model_validate(wrong)


def test_default_list_parameters_are_empty_for_older_workers() -> None:
    assert json_codec.encode(ListJobs()) == b"{}"
    assert (
        json_codec.encode(ListJobs(limit=3, before="ended.7")) == b'{"limit":3,"before":"ended.7"}'
    )
