"""A retried compare-and-set recognises its own value."""

import base64
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import nats.errors
import pytest

from pylon.jetstream import request_retry
from pylon.jetstream.bucket import ABSENT, Bucket, ConflictError

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

VALUE = b"value"
UNDECIDED = {"error": {"code": 400, "err_code": 10164, "description": "wrong last sequence"}}
CONFLICT = {"error": {"code": 400, "err_code": 10071, "description": "wrong last sequence: 7"}}
MISSING = {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}


class ScriptedStream:
    """Answers writes one by one, and may store the first of them all the same.

    Args:
        answers: to the writes; None is an answer that is lost.
        stores: whether the first write is stored.
        other: whether somebody else has stored the same value.
    """

    def __init__(
        self, answers: list[dict[str, Any] | None], *, stores: bool = False, other: bool = False
    ) -> None:
        self._answers = answers
        self._stores = stores
        self._stored: bytes | None = b"NATS/1.0\r\nPylon-Write: another\r\n\r\n" if other else None

    async def request(self, subject: str, *_: object, **given: Any) -> Any:
        if "STREAM.MSG.GET" in subject:
            return self._reply(MISSING if self._stored is None else self._newest(self._stored))
        if self._stores and self._stored is None:
            lines = "".join(f"{name}: {value}\r\n" for name, value in given["headers"].items())
            self._stored = f"NATS/1.0\r\n{lines}\r\n".encode()
        answer = self._answers.pop(0)
        if answer is None:
            raise nats.errors.TimeoutError
        return self._reply(answer)

    def _newest(self, header: bytes) -> dict[str, Any]:
        encoded = (base64.b64encode(part).decode() for part in (VALUE, header))
        names = ("data", "hdrs")
        message = dict(zip(names, encoded, strict=True)) | {
            "seq": 7,
            "subject": "$KV.bucket.key",
            "time": "2026-01-01T00:00:00Z",
        }
        return {"message": message}

    @staticmethod
    def _reply(answer: dict[str, Any]) -> Any:
        return SimpleNamespace(data=json.dumps(answer).encode())


def bucket_over(stream: ScriptedStream, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(request_retry, "RETRY_DELAY_S", 0.0)
    return Bucket(cast("NatsConnection", SimpleNamespace(is_connected=True, nats=stream)), "bucket")


@pytest.mark.parametrize("first", [None, UNDECIDED])
async def test_a_stored_write_succeeds_although_its_reply_was_an_error_or_lost(
    first: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = bucket_over(ScriptedStream([first, CONFLICT], stores=True), monkeypatch)
    assert await bucket.put("key", VALUE, revision=ABSENT) == 7


@pytest.mark.parametrize("first", [None, UNDECIDED])
async def test_the_same_value_of_another_writer_is_a_conflict(
    first: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = bucket_over(ScriptedStream([first, CONFLICT], other=True), monkeypatch)
    with pytest.raises(ConflictError):
        await bucket.put("key", VALUE, revision=ABSENT)


async def test_a_write_behind_one_in_flight_succeeds_when_that_is_not_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [UNDECIDED, UNDECIDED, {"stream": "KV_bucket", "seq": 8}]
    bucket = bucket_over(ScriptedStream([*answers]), monkeypatch)
    assert await bucket.put("key", VALUE, revision=ABSENT) == 8
