"""The ledger: what every job is and how far it has come, changed only by compare and set.

It has one entry per job; one per lane, which says what is newest in it; one per hotkey, which says
what was last sent with it; and a marker per job that has not ended (`pylon.jobs.open_jobs`).
"""

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.common.unreadable_records import UNREADABLE
from pylon.jetstream.bucket import ABSENT, Entry
from pylon.jobs.bucket_port import Store
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.job_pages import JobPage, JobPages
from pylon.jobs.open_jobs import OpenJobs
from pylon.jobs.stored_job import (
    Held,
    Record,
    UnreadableEntryError,
    held_in,
    job_key,
    readable_in,
)
from pylon_client.contract.failures import FailureError
from pylon_client.contract.jobs import IN_FLIGHT, TRANSITIONS, ExtrinsicRecord, Job, JobState
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import Hotkey, IdentityName, JobId, JobKind, Revision
from pylon_client.contract.writes import ListJobs

logger = logging.getLogger(__name__)

DAY_S: Final = 86_400
CREATE_WITHIN_S: Final = 60.0
"""Seconds after its marker within which a job is written; else the marker is written again."""
HISTORY_PAGE: Final = 200
"""Entries that are read at once where all jobs of an identity are gone through."""

Announce = Callable[[Job], Awaitable[None]]
"""Tells whoever listens that a job has changed; what it does may be lost."""


class IllegalTransitionError(Exception):
    """A change of state that the table does not have: a bug, never a circumstance."""


class Newest(BaseModel):
    """What is newest in a lane."""

    model_config = ConfigDict(frozen=True)

    number: int = 0
    job_id: JobId | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane's entry as it was read."""

    newest: Newest
    revision: Revision

    def has_newer_than(self, record: Record) -> bool:
        """Whether a record has been overtaken; of two with one number, the lane has chosen."""
        if record.number == self.newest.number:
            return record.job.job_id != self.newest.job_id
        return record.number < self.newest.number


class Sent(BaseModel):
    """What was last signed with a hotkey, and for which job."""

    model_config = ConfigDict(frozen=True)

    identity: IdentityName
    job_id: JobId
    extrinsic: ExtrinsicRecord
    genesis: str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A hotkey's entry as it was read; `sent` is None before anything was sent."""

    sent: Sent | None
    revision: Revision


class Ledger:
    """The ledger of jobs over a store.

    Args:
        store: where entries are kept.
        announce: is told of every job that was changed, after it was.
        ended_kept_days: for how long a job is kept that has ended.
    """

    def __init__(self, store: Store, announce: Announce, *, ended_kept_days: int) -> None:
        self._store = store
        self._announce = announce
        self._open = OpenJobs(store)
        self._chain = ChainRecord(store)
        self._pages = JobPages(store, self._open)
        self._ended_ttl_s = ended_kept_days * DAY_S

    async def get(self, identity: IdentityName, job_id: JobId) -> Held | None:
        """A job of an identity, or None.

        Raises:
            UnreadableEntryError: there is one, and it cannot be read.
        """
        entry = await self._store.get(job_key(identity, job_id))
        return None if entry is None else held_in(entry)

    async def page(self, identity: IdentityName, asked: ListJobs) -> JobPage:
        """Return some of the jobs of an identity that are still kept; see `JobPages.page`."""
        return await self._pages.page(identity, asked)

    async def open_jobs(self, identity: IdentityName, kind: JobKind | None = None) -> list[Held]:
        """Return the jobs of an identity that have not ended, the newest first.

        Args:
            identity: whose jobs.
            kind: only jobs of this kind; None for all.
        """
        return await self._open.of(identity, kind)

    async def history(self, identity: IdentityName) -> AsyncGenerator[Held]:
        """Give every job of an identity that is still kept, the last changed first.

        One that changes meanwhile may be left out.
        """
        before: Revision | None = None
        while True:
            page = await self._store.newest_first(
                f"job.{identity}", before=before, count=HISTORY_PAGE
            )
            for entry in page.entries:
                if (held := readable_in(entry)) is not None:
                    yield held
            if page.is_last:
                return
            before = page.entries[-1].revision

    async def newest(self, identity: IdentityName) -> list[Held]:
        """The newest job of each lane of an identity, as far as it can be read."""
        found: list[Held] = []
        for entry in await self._store.entries(f"lane.{identity}"):
            try:
                newest = Newest.model_validate_json(entry.value)
                held = None if newest.job_id is None else await self.get(identity, newest.job_id)
            except (ValidationError, UnreadableEntryError):
                continue  # it is repaired, or passed over, by what accepts or runs the next job
            if held is not None:
                found.append(held)
        return found

    async def create(self, record: Record) -> Held:
        """Enter a new job.

        Raises:
            ConflictError: one of that id is there.
        """
        began_s = time.monotonic()
        await self._open.mark(record.job)
        written = await self._write(record, ABSENT)
        if time.monotonic() - began_s > CREATE_WITHIN_S:
            await self._open.mark(record.job)  # a reader may have taken the marker for an orphan
        return written

    async def renumber(self, held: Held, number: int) -> Held:
        """Give a job another place in its lane.

        Raises:
            ConflictError: the job was changed since it was read.
        """
        record = held.record.model_copy(update={"number": number})
        return await self._write(record, held.revision)

    async def release(self, held: Held) -> Held:
        """Let a job be sent whose caller is answered now.

        Raises:
            ConflictError: the job was changed since it was read.
        """
        record = held.record.model_copy(update={"unanswered": False})
        return await self._write(record, held.revision)

    async def change(self, held: Held, state: JobState | None = None, **updates: Any) -> Held:
        """Move a job to a state, or only amend it, and say so.

        Args:
            held: the job as it was read.
            state: where to; None leaves it where it is.
            updates: fields of the job.

        Raises:
            ConflictError: the job was changed since it was read.
            IllegalTransitionError: the table has no such change.
        """
        job = held.job
        target = job.state if state is None else state
        legal = state is None or state in TRANSITIONS[job.state]
        if job.has_ended or not legal:
            raise IllegalTransitionError(f"{job.job_id}: {job.state} to {target}")
        changed = Job.model_validate(
            {**dict(job), **updates, "state": target, "updated_at_ms": _now_ms()}
        )
        record = held.record.model_copy(
            update={"job": changed} | ({"request": {}} if _is_done(changed) else {})
        )
        written = await self._write(record, held.revision)
        if state is not None:
            logger.info("Job %s of %s: %s to %s", job.job_id, job.identity, job.state, target)
        return written

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that jobs are for; None where it was never known."""
        return await self._chain.genesis()

    async def lane(self, subject: JobSubject) -> Lane:
        """What is newest in a lane."""
        entry = await self._store.get(_lane_key(subject))
        if entry is None:
            return Lane(Newest(), ABSENT)
        try:
            newest = Newest.model_validate_json(entry.value)
        except ValidationError:
            _note_unreadable(entry)
            newest = await self._found_newest(subject)
        return Lane(newest, entry.revision)

    async def _found_newest(self, subject: JobSubject) -> Newest:
        """What is newest in a lane by what its jobs say."""
        newest = Newest()
        async for held in self._all(f"job.{subject.identity}"):
            if held.record.lane == subject and held.record.number > newest.number:
                newest = Newest(number=held.record.number, job_id=held.job.job_id)
        return newest

    async def _all(self, prefix: str) -> AsyncGenerator[Held]:
        """Give every job under a prefix, the last changed last, and miss none that changes."""
        after = ABSENT
        while True:
            page = await self._store.oldest_first(prefix, after=after, count=HISTORY_PAGE)
            for entry in page.entries:
                if (held := readable_in(entry)) is not None:
                    yield held
            if page.is_last:
                return
            after = page.entries[-1].revision

    async def advance(self, lane: Lane, record: Record) -> Lane:
        """Make a record the newest of its lane.

        Raises:
            ConflictError: the lane has moved since it was read.
        """
        newest = Newest(number=record.number, job_id=record.job.job_id)
        value = newest.model_dump_json().encode()
        revision = await self._store.put(_lane_key(record.lane), value, revision=lane.revision)
        return Lane(newest, revision)

    async def slot(self, hotkey: Hotkey) -> Slot:
        """What was last sent with a hotkey."""
        entry = await self._store.get(_slot_key(hotkey))
        if entry is None:
            return Slot(None, ABSENT)
        try:
            sent = Sent.model_validate_json(entry.value)
        except ValidationError:
            _note_unreadable(entry)
            sent = await self._found_sent()
        return Slot(sent, entry.revision)

    async def _found_sent(self) -> Sent | None:
        """What may be on its way for the longest, with whichever hotkey it was sent."""
        flying = [
            Sent(
                identity=one.job.identity,
                job_id=one.job.job_id,
                extrinsic=one.job.extrinsic,
                genesis=one.job.genesis,
            )
            async for one in self._all("job")
            if one.job.state in IN_FLIGHT and one.job.extrinsic is not None
        ]
        return max(flying, key=lambda sent: sent.extrinsic.last_valid_block, default=None)

    async def occupy(self, slot: Slot, hotkey: Hotkey, sent: Sent) -> Slot:
        """Write down what is about to be sent with a hotkey.

        This is the fence that keeps a late holder of the hotkey's lease from sending.

        Raises:
            ConflictError: something else was sent since the slot was read.
        """
        value = sent.model_dump_json().encode()
        revision = await self._store.put(_slot_key(hotkey), value, revision=slot.revision)
        return replace(slot, sent=sent, revision=revision)

    async def is_in_flight(self, sent: Sent) -> bool:
        """Whether nobody has found out yet what became of something that was sent."""
        try:
            held = await self.get(sent.identity, sent.job_id)
        except UnreadableEntryError:
            return True  # as far as is known
        return (
            held is not None
            and held.job.state in IN_FLIGHT
            and held.job.extrinsic == sent.extrinsic
        )

    async def _write(self, record: Record, revision: Revision) -> Held:
        written = await self._store.put(
            job_key(record.job.identity, record.job.job_id),
            record.model_dump_json().encode(),
            revision=revision,
            ttl_s=self._ended_ttl_s if record.job.has_ended else None,
        )
        await self._announce(record.job)
        if record.job.has_ended:
            with contextlib.suppress(FailureError):  # the next reader of the markers removes it
                await self._open.unmark(record.job)
        return Held(record, written)


KEPT_PREFIXES: Final = ("lane", "sent", "job")
"""What the keys begin with that a backup needs; all others are an index of these."""


def _lane_key(lane: JobSubject) -> str:
    mechanism = "" if lane.mechanism is None else f".{lane.mechanism}"
    return f"lane.{lane.identity}.{lane.kind}{mechanism}"


def _slot_key(hotkey: Hotkey) -> str:
    return f"sent.{hotkey}"


def _note_unreadable(entry: Entry) -> None:
    text = "The ledger's entry %s cannot be read, and is made anew"
    UNREADABLE.note(logger, "job", (entry.key, entry.revision), text, entry.key)


def _is_done(job: Job) -> bool:
    """Return whether nothing is to be sent for a job any more."""
    return job.has_ended or job.has_succeeded


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
