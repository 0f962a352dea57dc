"""A key-value bucket in which every write is a compare-and-set."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import nats.js.errors
from nats.js import api
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import (
    NO_MESSAGE,
    ack_sequence,
    is_conflict,
    message_sequence,
    readable_replies,
    require_type,
)
from pylon.jetstream.request_retry import REQUEST_TIMEOUT_S, retry_while_unavailable
from pylon.jetstream.write_health import WriteHealth
from pylon_client.contract import json_codec
from pylon_client.contract.types import Revision
from pylon_client.nats.nats_connection import NatsConnection

ABSENT: Final = Revision(0)
"""The revision of a key that has no value."""
COMPARE_AND_SET_RETRIES: Final = 100
"""Maximum compare-and-set retries per request; must exceed the number of concurrent callers.

A caller that receives `ConflictError` reads the entry again before it retries.
"""
MAX_CONCURRENT_READS: Final = 16
"""Maximum number of concurrent reads of one call of `read`."""

_WRITE_ID: Final = "Pylon-Write"
"""Header with a random id of the write, by which a retry detects that an earlier attempt was
stored."""

T = TypeVar("T")


class ConflictError(Exception):
    """The key's revision is not the one that the writer expected."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's value and revision."""

    key: str
    value: bytes
    revision: Revision


class Bucket:
    """A JetStream key-value bucket.

    Every method retries for `RETRY_TIMEOUT_S` seconds, then raises `FailureError` NATS_UNAVAILABLE.
    A missing stream counts as unavailable, never as an empty bucket.

    Args:
        connection: as the user `worker`.
        name: name of the bucket, which must exist.
        health: records which writes are stored.
    """

    def __init__(
        self, connection: NatsConnection, name: str, health: WriteHealth | None = None
    ) -> None:
        self.name: Final = name
        self._connection = connection
        self._write_health = health or WriteHealth()
        self._context = JetStreamContext(connection.nats, timeout=REQUEST_TIMEOUT_S)
        self._stream = f"KV_{name}"

    async def get(self, key: str) -> Entry | None:
        """Return the entry of a key as the bucket's leader has it, or None."""
        found = await self._get_last_message(key)
        return (
            None
            if found is None
            else Entry(key, found.data or b"", Revision(message_sequence(found)))
        )

    async def put(
        self, key: str, value: bytes, *, revision: Revision, ttl_s: int | None = None
    ) -> Revision:
        """Set a key whose current revision is `revision`; return the new revision.

        Args:
            key: letters, digits, `_`, `-` and dots between them.
            value: the new value.
            revision: the expected revision, or `ABSENT`.
            ttl_s: seconds after which the value expires; None for no expiry.

        Raises:
            ConflictError: the key has another revision.
        """
        write_id = secrets.token_hex(8)
        headers = {
            api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision),
            _WRITE_ID: write_id,
        }
        tries = 0

        async def write() -> Revision:
            nonlocal tries
            tries += 1
            try:
                with (
                    self._write_health.track_write(self._stream, self._connection),
                    readable_replies(),
                ):
                    ack = await self._context.publish(
                        self._subject(key), value, headers=dict(headers), msg_ttl=ttl_s
                    )
                    return Revision(ack_sequence(ack, self._stream))
            except nats.js.errors.APIError as error:
                if not is_conflict(error):
                    raise
                found = await self._get_last_message(key) if tries > 1 else None
                if found is None or (found.headers or {}).get(_WRITE_ID) != write_id:  # pyright: ignore[reportUnknownMemberType] -- the library's headers are of anything
                    raise ConflictError(key) from None
                return Revision(
                    message_sequence(found)
                )  # an earlier attempt was stored, but its reply was lost

        return await self._with_retries(write)

    async def keys(self, prefix: str) -> list[str]:
        """Return every key that starts with `prefix` and a dot, in any order."""

        async def read() -> list[str]:
            wildcard = self._subject(f"{prefix}.>")
            with readable_replies():
                info = await self._context.stream_info(self._stream, subjects_filter=wildcard)
                subjects = list(info.state.subjects or {})
            for subject in subjects:
                require_type(subject, str, "subjects that are not texts")
            return subjects

        skipped = len(self._subject(""))
        return [subject[skipped:] for subject in await self._with_retries(read)]

    async def read(self, keys: Iterable[str]) -> list[Entry]:
        """Return the entries of the keys that have a value, in the order of the keys."""
        slots = asyncio.Semaphore(MAX_CONCURRENT_READS)

        async def one(key: str) -> Entry | None:
            async with slots:
                return await self.get(key)

        return [entry for entry in await asyncio.gather(*map(one, keys)) if entry is not None]

    async def entries(self, prefix: str) -> list[Entry]:
        """Return every entry whose key starts with `prefix` and a dot, in any order."""
        return await self.read(await self.keys(prefix))

    async def remove(self, key: str, revision: Revision) -> None:
        """Delete one revision of a key; a newer one remains.

        The bytes of the value are not overwritten on the disk: for that, the server would read and
        write the whole block of messages, and delay all writes of the stream meanwhile.
        """
        request = json_codec.encode({"seq": revision, "no_erase": True})

        async def remove() -> None:
            try:
                with readable_replies():
                    # The library's method always asks to overwrite the bytes.
                    message = await self._connection.nats.request(  # pyright: ignore[reportUnknownMemberType] -- the library's headers are of anything
                        f"$JS.API.STREAM.MSG.DELETE.{self._stream}",
                        request,
                        timeout=REQUEST_TIMEOUT_S,
                    )
                    reply = json_codec.decode(message.data)
                    if "error" in reply:
                        raise nats.js.errors.APIError.from_error(reply["error"])
                    require_type(reply["success"], bool, "a removal without a result")
            except nats.js.errors.APIError:
                found = await self._get_last_message(key)
                if found is not None and found.seq == revision:
                    raise  # otherwise it is deleted, which may be the reason of the error

        await self._with_retries(remove)

    async def _get_last_message(self, key: str) -> api.RawStreamMsg | None:
        async def read() -> api.RawStreamMsg | None:
            try:
                with readable_replies():
                    # Not a direct get: a replica that lags behind may answer those.
                    found = await self._context.get_last_msg(self._stream, self._subject(key))
                    message_sequence(found)
                    return found
            except nats.js.errors.NotFoundError as error:
                if error.err_code == NO_MESSAGE:
                    return None
                raise

        return await self._with_retries(read)

    def _subject(self, key: str) -> str:
        return f"$KV.{self.name}.{key}"

    async def _with_retries(self, send: Callable[[], Awaitable[T]]) -> T:
        return await retry_while_unavailable(send, f"The bucket {self.name}")
