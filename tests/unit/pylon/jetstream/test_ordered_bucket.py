"""Pages of a bucket in the order of writes, over a stream in memory."""

import base64
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import nats.errors
import pytest

from pylon.jetstream import ordered_bucket, request_retry
from pylon.jetstream.bucket import Entry
from pylon.jetstream.ordered_bucket import OrderedBucket, Page
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import Revision
from tests.support.nats.jetstream_api import NO_MESSAGE_FOUND, message_of

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

PREFIX = "$KV.bucket."


class FakeStream:
    """Messages of keys by sequence, served by a leader and by a replica.

    Attributes:
        messages: (sequence, key, value), by ascending sequence.
        fault: changes the replica's next batch, a list of messages.
        batches: number of batches that were requested.
        open_subscriptions: number of subscriptions that were not ended.
    """

    def __init__(self, *messages: tuple[int, str, bytes]) -> None:
        self.messages = list(messages)
        self.fault: Callable[[list[Any]], list[Any]] | None = None
        self.batches = 0
        self.open_subscriptions = 0
        self._batch: list[Any] = []

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, subject: str) -> "FakeStream":
        assert subject == "_INBOX.x"
        self.open_subscriptions += 1
        return self

    async def unsubscribe(self) -> None:
        self.open_subscriptions -= 1

    async def next_msg(self, _: float) -> Any:
        if not self._batch:
            raise nats.errors.TimeoutError
        return self._batch.pop(0)

    async def publish(self, subject: str, body: bytes, *, reply: str) -> None:
        assert (subject, reply) == ("$JS.API.DIRECT.GET.KV_bucket", "_INBOX.x")
        self.batches += 1
        asked = json.loads(body)
        found = self._under(asked["next_by_subj"], asked["seq"])
        sent, size = list[tuple[int, str, bytes]](), 0
        for one in found[: asked["batch"]]:
            sent.append(one)
            size += len(one[2])
            if size >= asked["max_bytes"]:
                break
        self._batch = [
            message_of(
                value,
                Nats_Subject=PREFIX + key,
                Nats_Sequence=str(sequence),
                Nats_Last_Sequence=str(previous),
            )
            for previous, (sequence, key, value) in zip(
                [0, *(one[0] for one in sent)], sent, strict=False
            )
        ]
        if sent:
            pending = str(len(found) - len(sent))
            last = str(sent[-1][0])
            self._batch.append(
                message_of(b"", Status="204", Nats_Num_Pending=pending, Nats_Last_Sequence=last)
            )
        else:
            self._batch.append(message_of(b"", Status="404"))
        if self.fault is not None:
            self._batch = self.fault(self._batch)
            self.fault = None

    async def request(self, subject: str, body: bytes, **_: Any) -> Any:
        assert subject == "$JS.API.STREAM.MSG.GET.KV_bucket"
        asked = json.loads(body)
        if "last_by_subj" in asked:
            found = self._under(asked["last_by_subj"], 0)[-1:]
        else:
            found = self._under(asked["next_by_subj"], asked.get("seq") or 0)[:1]
        if not found:
            return message_of(json.dumps(NO_MESSAGE_FOUND).encode())
        ((sequence, key, value),) = found
        encoded = base64.b64encode(value).decode()
        message = {"subject": PREFIX + key, "seq": sequence, "data": encoded}
        message["time"] = "2026-01-01T00:00:00Z"
        return message_of(json.dumps({"message": message}).encode())

    def _under(self, wildcard: str, first: int) -> list[tuple[int, str, bytes]]:
        prefix = wildcard.removeprefix(PREFIX).removesuffix(">")
        return [one for one in self.messages if one[1].startswith(prefix) and one[0] >= first]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_retry, "RETRY_DELAY_S", 0.0)


def bucket_over(stream: FakeStream) -> OrderedBucket:
    connection = SimpleNamespace(is_connected=True, nats=stream)
    return OrderedBucket(cast("NatsConnection", connection), "bucket")


def stream_of(*sequences: int, size: int = 1) -> FakeStream:
    """Return a stream with a key under `job` at each sequence, and other keys in between."""
    messages = [(number, f"job.{number}", b"x" * size) for number in sequences]
    others = [(number + 1, f"open.{number}", b"") for number in sequences]
    return FakeStream(*sorted([*messages, *others]))


def revisions(page: Page) -> list[int]:
    return [entry.revision for entry in page.entries]


async def newest(stream: FakeStream, before: int | None, count: int) -> Page:
    position = None if before is None else Revision(before)
    return await bucket_over(stream).newest_first("job", before=position, count=count)


async def oldest(stream: FakeStream, after: int, count: int) -> Page:
    return await bucket_over(stream).oldest_first("job", after=Revision(after), count=count)


async def test_an_empty_bucket_has_one_empty_page() -> None:
    for page in (await newest(FakeStream(), None, 5), await oldest(FakeStream(), 0, 5)):
        assert page == Page([], is_last=True)


async def test_an_entry_has_its_key_value_and_revision() -> None:
    stream = FakeStream((7, "job.a.b", b"value"))
    expected = [Entry("job.a.b", b"value", Revision(7))]
    assert (await newest(stream, None, 5)).entries == expected
    assert (await oldest(stream, 0, 5)).entries == expected
    assert stream.open_subscriptions == 0


# Sequences have gaps of deleted and replaced entries, some of them large.
@pytest.mark.parametrize(
    "sequences",
    [
        tuple(range(1, 100, 2)),
        tuple(number**3 + 1 for number in range(1, 30)),
        (*range(1, 40, 2), *range(1_000_001, 1_000_041, 2)),
        (5,),
    ],
)
@pytest.mark.parametrize("count", [3, 50])
async def test_pages_together_contain_every_entry_once(
    sequences: tuple[int, ...], count: int
) -> None:
    stream = stream_of(*sequences)
    found: list[int] = []
    before: int | None = None
    while True:
        page = await newest(stream, before, count)
        assert len(page.entries) <= count
        found += revisions(page)
        if page.is_last:
            break
        assert page.entries
        before = found[-1]
    assert found == sorted(sequences, reverse=True)
    found, after = [], 0
    while True:
        page = await oldest(stream, after, count)
        assert len(page.entries) <= count
        found += revisions(page)
        if page.is_last:
            break
        assert page.entries
        after = found[-1]
    assert found == sorted(sequences)
    assert stream.open_subscriptions == 0


async def test_the_number_of_requests_grows_with_the_logarithm_of_the_bucket() -> None:
    batches: list[int] = []
    for newest_revision in (10**6 + 1, 10**9 + 1):
        stream = stream_of(*range(1, 100, 2), newest_revision)
        page = await newest(stream, None, 10)
        assert revisions(page) == [newest_revision, *range(99, 81, -2)]
        batches.append(stream.batches)
    smaller, larger = batches
    assert smaller < larger < 2 * smaller


async def test_a_page_starts_below_a_revision_that_may_be_gone() -> None:
    stream = stream_of(1, 3, 5)
    assert revisions(await newest(stream, 5, 5)) == [3, 1]
    assert revisions(await newest(stream, 4, 5)) == [3, 1]
    assert revisions(await newest(stream, 10**6, 5)) == [5, 3, 1]
    assert await newest(stream, 1, 5) == Page([], is_last=True)
    assert await oldest(stream, 5, 5) == Page([], is_last=True)


async def test_large_entries_make_a_page_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered_bucket, "MAX_BATCH_BYTES", 100)
    stream = stream_of(*range(1, 21, 2), size=60)
    page = await oldest(stream, 0, 10)
    assert (revisions(page), page.is_last) == ([1, 3], False)
    page = await newest(stream, None, 10)
    assert revisions(page) == list(range(19, 19 - 2 * len(page.entries), -2))
    assert 0 < len(page.entries) < 10
    assert not page.is_last


def _without_first(batch: list[Any]) -> list[Any]:
    return batch[1:]


def _without_last_message(batch: list[Any]) -> list[Any]:
    return [*batch[:-2], batch[-1]]


def _of_a_replica_that_lags_behind(batch: list[Any]) -> list[Any]:
    *earlier, _, end = batch
    end.headers["Nats-Last-Sequence"] = earlier[-1].headers["Nats-Sequence"]
    return [*earlier, end]


def _without_end(batch: list[Any]) -> list[Any]:
    return batch[:-1]


def _nothing(_: list[Any]) -> list[Any]:
    return [message_of(b"", Status="404")]


def _no_replica(_: list[Any]) -> list[Any]:
    return [message_of(b"", Status="503")]


def _unreadable_end(batch: list[Any]) -> list[Any]:
    batch[-1].headers["Nats-Num-Pending"] = "many"
    return batch


@pytest.mark.parametrize(
    "fault",
    [
        _without_first,
        _without_last_message,
        _without_end,
        _nothing,
        _no_replica,
        _unreadable_end,
    ],
)
async def test_an_incomplete_batch_is_requested_again(
    fault: Callable[[list[Any]], list[Any]],
) -> None:
    stream = FakeStream(*((number, f"job.{number}", b"x") for number in (1, 2, 3)))
    for read, expected in (
        (lambda: newest(stream, None, 5), [3, 2, 1]),
        (lambda: oldest(stream, 0, 5), [1, 2, 3]),
    ):
        stream.fault = fault
        page = await read()
        assert (revisions(page), page.is_last) == (expected, True)
        assert stream.open_subscriptions == 0


async def test_a_replica_that_lags_behind_hides_no_entry() -> None:
    stream = FakeStream(*((number, f"job.{number}", b"x") for number in (1, 2, 3)))
    stream.fault = _of_a_replica_that_lags_behind
    assert revisions(await newest(stream, None, 5)) == [3, 2, 1]
    stream.fault = _of_a_replica_that_lags_behind
    page = await oldest(stream, 0, 5)
    assert (revisions(page), page.is_last) == ([1, 2], False)
    assert revisions(await oldest(stream, 2, 5)) == [3]


@pytest.mark.parametrize("header", ["Nats-Sequence", "Nats-Subject"])
async def test_an_entry_whose_headers_hide_its_place_is_read_from_the_leader(header: str) -> None:
    stream = stream_of(1, 3, 5)

    def hide(batch: list[Any]) -> list[Any]:
        if header == "Nats-Sequence":
            batch[1].headers[header] = "hidden"
        else:
            batch[1].headers = {"Nats-Last-Sequence": "1"}
        return batch

    stream.fault = hide
    assert revisions(await newest(stream, None, 5)) == [5, 3, 1]
    stream.fault = hide
    assert revisions(await oldest(stream, 0, 5)) == [1, 3, 5]


async def test_a_replica_that_stays_behind_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_retry, "RETRY_TIMEOUT_S", 0.02)
    stream = stream_of(1, 3)
    monkeypatch.setattr(stream, "publish", _answer_nothing)
    with pytest.raises(FailureError) as caught:
        await newest(stream, None, 5)
    assert caught.value.code is ErrorCode.NATS_UNAVAILABLE


async def _answer_nothing(*_: Any, **_more: Any) -> None:
    pass
