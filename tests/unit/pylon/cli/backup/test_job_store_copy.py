"""Export and import of the job store, in memory."""

import asyncio
from collections.abc import AsyncIterable

import pytest

from pylon.cli.backup import job_store_copy
from pylon.cli.backup.backup_file import BackupEntry, BackupError
from pylon.cli.backup.job_store_copy import JobStoreCopy
from pylon.jetstream.bucket import ABSENT, ConflictError, Entry
from pylon.jetstream.ordered_bucket import Page
from pylon.jetstream.stream_admin import JetStreamRequestError
from pylon.jobs.stored_job import decode_job, job_key
from pylon_client.contract.jobs import JobState
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE
from pylon_client.contract.types import IdentityName, Revision
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection, as_connection
from tests.support.product.ended_jobs import job_of, record_of

GENESIS = hash_of(0)
SN1 = IdentityName("sn1")


class FakeBucket:
    """Entries with increasing revisions.

    Attributes:
        ttls: time to live in seconds of each entry.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.ttls: dict[str, int | None] = {}
        self._revision = 0

    async def put(
        self, key: str, value: bytes, *, revision: Revision, ttl_s: int | None = None
    ) -> Revision:
        await asyncio.sleep(0)
        stored = self.entries.get(key)
        if (ABSENT if stored is None else stored.revision) != revision:
            raise ConflictError(key)
        self._revision += 1
        self.entries[key] = Entry(key, value, Revision(self._revision))
        self.ttls[key] = ttl_s
        return Revision(self._revision)

    async def get(self, key: str) -> Entry | None:
        return self.entries.get(key)

    async def oldest_first(self, prefix: str, *, after: Revision, count: int) -> Page:
        found = sorted(
            (
                entry
                for entry in self.entries.values()
                if entry.key.startswith(f"{prefix}.") and entry.revision > after
            ),
            key=lambda entry: entry.revision,
        )
        return Page(found[:count], is_last=len(found) <= count)


class FakeQueue:
    """The ids of queued jobs."""

    def __init__(self) -> None:
        self.job_ids: list[str] = []

    async def publish(self, _subject: object, job_id: str) -> None:
        self.job_ids.append(job_id)


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def copy(monkeypatch: pytest.MonkeyPatch, bucket: FakeBucket, queue: FakeQueue) -> JobStoreCopy:
    monkeypatch.setattr(job_store_copy, "OrderedBucket", lambda *_: bucket)
    monkeypatch.setattr(job_store_copy, "WorkQueue", lambda _: queue)
    return JobStoreCopy(as_connection(FakeConnection()))


def entry_of(number: int, state: JobState) -> BackupEntry:
    record = record_of(SN1, number, state)
    return BackupEntry(job_key(SN1, job_of(number)), record.model_dump_json().encode())


async def import_all(copy: JobStoreCopy, *entries: BackupEntry) -> int:
    return await copy.import_entries(
        entries, ended_retention_days=7, on_progress=lambda _count: None
    )


async def collect(entries: AsyncIterable[BackupEntry]) -> list[str]:
    return [entry.key async for entry in entries]


async def test_entries_are_exported_before_those_that_they_refer_to(
    monkeypatch: pytest.MonkeyPatch, copy: JobStoreCopy, bucket: FakeBucket
) -> None:
    monkeypatch.setattr(job_store_copy, "PAGE_SIZE", 2)
    for key in ("job.a.1", "job.a.2", "job.a.3", "lane.a", "sent.b", "open.a.1"):
        await bucket.put(key, b"{}", revision=ABSENT)
    assert await collect(copy.export_entries()) == [
        "lane.a", "sent.b", "job.a.1", "job.a.2", "job.a.3",
    ]  # fmt: skip


async def test_a_store_is_empty_without_entries_of_jobs(
    copy: JobStoreCopy, bucket: FakeBucket
) -> None:
    await copy.set_legacy_genesis(GENESIS)
    assert await copy.is_empty()
    await bucket.put("lane.a", b"{}", revision=ABSENT)
    assert not await copy.is_empty()


async def test_the_genesis_is_stored_once(copy: JobStoreCopy) -> None:
    await copy.set_legacy_genesis(None)
    assert await copy.genesis() is None
    for genesis in (GENESIS, hash_of(1)):
        await copy.set_legacy_genesis(genesis)
    assert await copy.genesis() == GENESIS


async def test_ended_jobs_expire_and_jobs_in_flight_are_queued(
    copy: JobStoreCopy, bucket: FakeBucket, queue: FakeQueue
) -> None:
    states = (JobState.CONFIRMED, JobState.ACCEPTED, JobState.SUBMITTING)
    entries = [entry_of(number, state) for number, state in enumerate(states)]
    assert await import_all(copy, *entries, BackupEntry("lane.a", b"x")) == 0
    assert bucket.entries["lane.a"].value == b"x"
    restored = [decode_job(bucket.entries[entry.key]).job.state for entry in entries]
    assert restored == [JobState.CONFIRMED, JobState.FAILED, JobState.SUBMITTING]
    week_s = 7 * 24 * 3600
    assert [bucket.ttls[entry.key] for entry in entries] == [week_s, week_s, None]
    assert queue.job_ids == [job_of(2)]
    markers = [key for key in bucket.entries if key.startswith("open.")]
    assert [key for key in markers if job_of(2) in key]
    assert not [key for key in markers if job_of(0) in key or job_of(1) in key]


async def test_jobs_that_cannot_be_read_are_left_out(
    copy: JobStoreCopy, bucket: FakeBucket, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = BackupEntry(job_key(SN1, job_of(1)), b"{")
    assert await import_all(copy, unreadable, entry_of(2, JobState.CONFIRMED)) == 1
    assert unreadable.key not in bucket.entries
    assert "Not restored: " in caplog.text


async def test_progress_is_reported_after_each_batch(
    monkeypatch: pytest.MonkeyPatch, copy: JobStoreCopy
) -> None:
    monkeypatch.setattr(job_store_copy, "BATCH_SIZE", 2)
    counts: list[int] = []
    entries = (BackupEntry(f"lane.{number}", b"") for number in range(5))
    await copy.import_entries(entries, ended_retention_days=7, on_progress=counts.append)
    assert counts == [2, 4, 5]


async def test_a_write_of_a_worker_ends_the_import(copy: JobStoreCopy, bucket: FakeBucket) -> None:
    await bucket.put("lane.a", b"", revision=ABSENT)
    with pytest.raises(BackupError, match=r"stop every worker.*--replace"):
        await import_all(copy, BackupEntry("lane.a", b""))


async def test_clearing_empties_the_queue_before_the_store(
    monkeypatch: pytest.MonkeyPatch, copy: JobStoreCopy
) -> None:
    purged: list[str] = []

    async def purge(_connection: object, name: str) -> None:
        if name == refused:
            raise JetStreamRequestError("not allowed")
        purged.append(name)

    refused = ""
    monkeypatch.setattr(job_store_copy, "purge", purge)
    await copy.clear()
    assert purged == [JOB_QUEUE.name, JOB_STORE.name]
    refused = JOB_QUEUE.name
    with pytest.raises(BackupError, match="did not remove the existing jobs: not allowed"):
        await copy.clear()
