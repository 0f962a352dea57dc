"""A bucket whose entries can be read in the order of writes, page by page.

JetStream returns a batch of messages from a sequence on ("direct get", nats-server 2.11), but not
backwards. `newest_first` therefore reads windows of the sequence, the newest one first.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
import nats.js.errors

from pylon.jetstream.bucket import Bucket, Entry
from pylon.jetstream.error_codes import NO_MESSAGE, message_sequence, readable_replies
from pylon.jetstream.request_retry import REQUEST_TIMEOUT_S
from pylon.jetstream.write_health import WriteHealth
from pylon_client.contract import json_codec
from pylon_client.contract.types import Revision
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_connection import NatsConnection

MAX_BATCH_BYTES: Final = 4_194_304
"""Maximum size of the values of a batch and of a page, in bytes."""
MIN_BATCH_ENTRIES: Final = 32
"""Minimum number of entries per request."""
WINDOW_GROWTH_FACTOR: Final = 4
"""Factor by which the window grows after a window with too few entries, and shrinks after one with
too many."""

_SUBJECT: Final = "Nats-Subject"
_SEQUENCE: Final = "Nats-Sequence"
_PREVIOUS: Final = "Nats-Last-Sequence"
"""The sequence of the message before this one in the batch; 0 before the first."""
_PENDING: Final = "Nats-Num-Pending"
_STATUS: Final = "Status"
_NOT_FOUND: Final = "404"
_END_OF_BATCH: Final = "204"


class IncompleteBatchError(nats.errors.Error):
    """Messages of the reply are missing: the replica lags behind its leader, or some were lost."""


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive entries in the order of writes.

    Attributes:
        entries: the entries.
        is_last: whether this is the last page.
    """

    entries: list[Entry]
    is_last: bool


@dataclass(frozen=True, slots=True)
class _Batch:
    entries: list[Entry]
    pending: int


class OrderedBucket(Bucket):
    """A bucket whose entries can be read in the order of writes.

    Args:
        connection: as the user `worker`.
        name: name of the bucket, which must exist.
        health: records which writes are stored.
    """

    def __init__(
        self, connection: NatsConnection, name: str, health: WriteHealth | None = None
    ) -> None:
        super().__init__(connection, name, health)
        self._nats = connection.nats

    async def newest_first(self, prefix: str, *, before: Revision | None, count: int) -> Page:
        """Return the newest entries under a prefix, by descending revision.

        The number of requests grows with the logarithm of the size of the bucket.

        Args:
            prefix: of the keys, without the dot.
            before: only entries with a lower revision; None for all.
            count: maximum number of entries; the page has fewer if they are large.
        """
        wildcard = self._subject(f"{prefix}.>")

        async def read() -> Page:
            newest = await self._get_from_leader(wildcard)
            oldest = await self._get_from_leader(wildcard, after=0)
            if newest is None or oldest is None:
                return Page([], is_last=True)
            high = newest.revision + 1 if before is None else min(before, newest.revision + 1)
            return await self._read_backwards(wildcard, oldest.revision, high, count)

        return await self._with_retries(read)

    async def oldest_first(self, prefix: str, *, after: Revision, count: int) -> Page:
        """Return the entries under a prefix after a revision, by ascending revision.

        An entry that changes between two pages is in a later page, so that the pages together miss
        no entry.

        Args:
            prefix: of the keys, without the dot.
            after: the revision after which to start.
            count: maximum number of entries; the page has fewer if they are large.
        """
        wildcard = self._subject(f"{prefix}.>")

        async def read() -> Page:
            newest = await self._get_from_leader(wildcard)
            if newest is None or newest.revision <= after:
                return Page([], is_last=True)
            batch = await self._fetch_batch(wildcard, after + 1, count)
            if not batch.entries:
                raise IncompleteBatchError
            return Page(batch.entries, is_last=batch.entries[-1].revision >= newest.revision)

        return await self._with_retries(read)

    async def _read_backwards(self, wildcard: str, oldest: int, high: int, count: int) -> Page:
        found: list[Entry] = []
        found_bytes = 0
        width = WINDOW_GROWTH_FACTOR * count
        while high > oldest and len(found) < count and found_bytes < MAX_BATCH_BYTES:
            low = max(oldest, high - width)
            batch = await self._fetch_batch(
                wildcard, low, max(count - len(found), MIN_BATCH_ENTRIES)
            )
            last = batch.entries[-1].revision if batch.entries else 0
            # The leader has an entry at `high - 1` or later: a batch without it is incomplete.
            if last < high - 1:
                if not batch.pending or high - low == 1:
                    raise IncompleteBatchError
                width = max((high - low) // WINDOW_GROWTH_FACTOR, 1)
                continue
            within = [entry for entry in batch.entries if entry.revision < high]
            found += reversed(within)
            found_bytes += sum(len(entry.value) for entry in within)
            high = low
            width *= WINDOW_GROWTH_FACTOR
        return Page(found[:count], is_last=high <= oldest and len(found) <= count)

    async def _fetch_batch(self, wildcard: str, first: int, count: int) -> _Batch:
        request = {
            "seq": first,
            "next_by_subj": wildcard,
            "batch": count,
            "max_bytes": MAX_BATCH_BYTES,
        }
        inbox = self._nats.new_inbox()
        subscription = await self._nats.subscribe(inbox)  # pyright: ignore[reportUnknownMemberType] -- the library leaves the callback's type open
        entries: list[Entry] = []
        try:
            await self._nats.publish(
                f"$JS.API.DIRECT.GET.{self._stream}", json_codec.encode(request), reply=inbox
            )
            while True:
                message = await subscription.next_msg(REQUEST_TIMEOUT_S)
                raise_if_cancelled()
                headers = message.headers or {}
                previous = entries[-1].revision if entries else 0
                if headers.get(_PREVIOUS, str(previous)) != str(previous):
                    raise IncompleteBatchError  # the connection was lost in between
                status = None if _SUBJECT in headers else headers.get(_STATUS)
                if status is None:
                    after = previous or first - 1
                    entries.append(await self._parse_entry(wildcard, after, headers, message.data))
                elif status == _END_OF_BATCH:
                    with readable_replies():
                        return _Batch(entries, int(headers.get(_PENDING, 0)))
                elif status == _NOT_FOUND:
                    return _Batch([], 0)
                else:
                    raise IncompleteBatchError  # for example, no replica answers
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _parse_entry(
        self, wildcard: str, after: int, headers: Mapping[str, Any], value: bytes
    ) -> Entry:
        """Return the entry of a message.

        A direct reply mixes the message's headers with JetStream's. If they hide the sequence, the
        entry is read from the leader, whose reply separates the two.
        """
        try:
            key = str(headers[_SUBJECT])[len(self._subject("")) :]
            return Entry(key, value, Revision(int(headers[_SEQUENCE])))
        except (LookupError, ValueError):
            entry = await self._get_from_leader(wildcard, after=after)
            if entry is None:
                raise IncompleteBatchError from None
            return entry

    async def _get_from_leader(self, wildcard: str, *, after: int | None = None) -> Entry | None:
        """Return the newest entry of the leader, or its first entry after a revision."""
        try:
            with readable_replies():
                found = await self._context.get_msg(
                    self._stream,
                    None if after is None else after + 1,
                    wildcard,
                    next=after is not None,
                )
                revision = Revision(message_sequence(found))
        except nats.js.errors.NotFoundError as error:
            if error.err_code == NO_MESSAGE:
                return None
            raise
        key = (found.subject or "")[len(self._subject("")) :]
        return Entry(key, found.data or b"", revision)
