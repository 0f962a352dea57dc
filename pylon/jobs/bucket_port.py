"""The parts of a bucket that the job store and the record of the chain use."""

from collections.abc import Iterable
from typing import Protocol

from pylon.jetstream.bucket import Entry
from pylon.jetstream.ordered_bucket import Page
from pylon_client.contract.types import Revision


class EntryPort(Protocol):
    """Single entries of a key-value store with compare and set."""

    async def get(self, key: str) -> Entry | None:
        """Return the newest entry of a key, or None."""
        ...

    async def put(
        self, key: str, value: bytes, *, revision: Revision, ttl_s: int | None = None
    ) -> Revision:
        """Set a key whose revision is `revision`, or raise ConflictError."""
        ...


class BucketPort(EntryPort, Protocol):
    """A key-value store with compare and set; see `pylon.jetstream.ordered_bucket`."""

    async def remove(self, key: str, revision: Revision) -> None:
        """Delete a key permanently if its revision is `revision`."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Return every key under a prefix."""
        ...

    async def read(self, keys: Iterable[str]) -> list[Entry]:
        """Return the entries of the keys that have a value."""
        ...

    async def entries(self, prefix: str) -> list[Entry]:
        """Return every entry under a prefix."""
        ...

    async def newest_first(self, prefix: str, *, before: Revision | None, count: int) -> Page:
        """Return the newest entries under a prefix, before a revision, newest first."""
        ...

    async def oldest_first(self, prefix: str, *, after: Revision, count: int) -> Page:
        """Return the oldest entries under a prefix, after a revision, oldest first."""
        ...
