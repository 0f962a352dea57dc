"""Cancellations of requests, which arrive before, during or after the request."""

import asyncio

import pytest

from pylon.rpc import request_cancellations
from pylon.rpc.request_cancellations import MAX_CANCEL_ID_BYTES, RequestCancellations


async def hang() -> None:
    await asyncio.Event().wait()


async def started(cancellations: RequestCancellations, cancel_id: str) -> "asyncio.Task[None]":
    task = asyncio.create_task(hang())
    cancellations.register(cancel_id, task)
    await asyncio.sleep(0)
    return task


async def test_a_request_in_progress_is_cancelled_and_no_other() -> None:
    cancellations = RequestCancellations()
    task, other = await started(cancellations, "a"), await started(cancellations, "b")
    assert cancellations.cancel(b"a")
    assert cancellations.is_cancelled(task)
    await asyncio.wait([task])
    assert task.cancelled()
    assert not other.done()
    assert not cancellations.is_cancelled(other)
    other.cancel()
    await asyncio.wait([other])
    assert not cancellations.is_cancelled(other), "the worker cancelled it, not the caller"


async def test_a_cancellation_that_overtakes_its_request_counts_once() -> None:
    cancellations = RequestCancellations()
    assert not cancellations.cancel(b"a")
    assert not cancellations.take_early("b")
    assert cancellations.take_early("a")
    assert not cancellations.take_early("a")


async def test_a_finished_request_can_no_longer_be_cancelled() -> None:
    cancellations = RequestCancellations()
    task = await started(cancellations, "a")
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert not cancellations.cancel(b"a")


async def test_a_finished_request_is_not_kept() -> None:
    cancellations = RequestCancellations()
    task = await started(cancellations, "a")
    cancellations.cancel(b"a")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert not cancellations.is_cancelled(task)
    assert not cancellations.is_cancelled(None)


async def test_the_oldest_early_cancellations_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_cancellations, "MAX_EARLY_CANCELLATIONS", 2)
    cancellations = RequestCancellations()
    for cancel_id in (b"a", b"b", b"c"):
        cancellations.cancel(cancel_id)
    assert [cancellations.take_early(cancel_id) for cancel_id in "abc"] == [False, True, True]


@pytest.mark.parametrize(
    ("body", "is_stored"),
    [
        (b"x" * MAX_CANCEL_ID_BYTES, True),
        (b"x" * (MAX_CANCEL_ID_BYTES + 1), False),
        (b"\xff", True),
    ],
)
async def test_an_early_cancellation_is_stored_unless_its_id_is_too_long(
    body: bytes, *, is_stored: bool
) -> None:
    cancellations = RequestCancellations()
    assert not cancellations.cancel(body)
    assert cancellations.take_early(body.decode(errors="replace")) is is_stored
