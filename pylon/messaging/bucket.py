"""A key-value bucket whose every write says what it read: compare and set, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import nats.errors
import nats.js.errors
from nats.js import api
from nats.js.client import JetStreamContext

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import Revision
from pylon_client.transport.connection import Connection

ABSENT: Final = Revision(0)
"""The revision of a key that has no value."""
TRY_FOR_S: Final = 3.0
WITHIN_S: Final = 15.0
"""Longer than a cluster takes to choose another leader, which was seen to be 5 s."""
RETRY_WAIT_S: Final = 0.2
READS_AT_ONCE: Final = 16

_WRONG_REVISION: Final = 10071

T = TypeVar("T")


class ConflictError(Exception):
    """The key has another revision than the writer had read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and which of its key's revisions it is."""

    key: str
    value: bytes
    revision: Revision


class Bucket:
    """A JetStream key-value bucket.

    Every method raises `FailureError` NATS_UNAVAILABLE when JetStream does not answer within
    `WITHIN_S` seconds, through which it asks again.

    Args:
        connection: as the user `worker`.
        name: of the bucket, which must exist.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self.name: Final = name
        self._context = JetStreamContext(connection.nats, timeout=TRY_FOR_S)
        self._stream = f"KV_{name}"

    async def get(self, key: str) -> Entry | None:
        """The value of a key as the bucket's leader has it, or None."""

        async def read() -> Entry | None:
            try:
                # Not a direct get: any replica would answer that, one that lags behind too.
                found = await self._context.get_last_msg(self._stream, self._subject(key))
            except nats.js.errors.NotFoundError:
                return None
            return Entry(key, found.data or b"", Revision(found.seq or 0))

        return await self._until_answered(read)

    async def put(
        self, key: str, value: bytes, *, revision: Revision, ttl_s: int | None = None
    ) -> Revision:
        """Set a key whose current revision is `revision`; the new revision.

        A write whose reply was lost is told apart from somebody else's by its value, so that
        values of different writers must differ.

        Args:
            key: letters, digits, `_`, `-` and dots between them.
            value: the new value.
            revision: that was read, or `ABSENT`.
            ttl_s: for how long the value is kept; for ever when None.

        Raises:
            ConflictError: somebody else has set it since.
        """
        headers = {api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision)}
        tries = 0

        async def write() -> Revision:
            nonlocal tries
            tries += 1
            try:
                ack = await self._context.publish(
                    self._subject(key), value, headers=dict(headers), msg_ttl=ttl_s
                )
            except nats.js.errors.APIError as error:
                if error.err_code != _WRONG_REVISION:
                    raise
                found = await self.get(key) if tries > 1 else None
                if found is None or found.value != value or found.revision <= revision:
                    raise ConflictError(key) from None
                return found.revision  # an earlier try got through, but its reply did not
            return Revision(ack.seq)

        return await self._until_answered(write)

    async def entries(self, prefix: str) -> list[Entry]:
        """Every entry whose key starts with `prefix` and a dot, in no order."""

        async def read() -> list[str]:
            wildcard = self._subject(f"{prefix}.>")
            info = await self._context.stream_info(self._stream, subjects_filter=wildcard)
            return list(info.state.subjects or {})

        skipped = len(self._subject(""))
        keys = [subject[skipped:] for subject in await self._until_answered(read)]
        slots = asyncio.Semaphore(READS_AT_ONCE)

        async def one(key: str) -> Entry | None:
            async with slots:
                return await self.get(key)

        return [entry for entry in await asyncio.gather(*map(one, keys)) if entry is not None]

    def _subject(self, key: str) -> str:
        return f"$KV.{self.name}.{key}"

    async def _until_answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await until_answered(ask, f"The bucket {self.name}")


async def until_answered(ask: Callable[[], Awaitable[T]], what: str) -> T:
    """What `ask` answers, asked again while JetStream has no leader or no connection.

    Raises:
        FailureError: NATS_UNAVAILABLE after `WITHIN_S` seconds.
    """
    try:
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    return await ask()
                except nats.js.errors.APIError as error:
                    if not isinstance(error, nats.js.errors.ServiceUnavailableError):
                        raise
                except (nats.errors.Error, OSError):
                    pass  # no connection, no leader, or no answer: asked again
                await asyncio.sleep(RETRY_WAIT_S)
    except TimeoutError:
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"{what} did not answer within {WITHIN_S:g} s."
        ) from None
    except nats.js.errors.APIError as error:
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"{what} refused: error {error.err_code}."
        ) from error
