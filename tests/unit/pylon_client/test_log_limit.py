"""Log lines with a repeated cause are logged once, then as reminders."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bridge.event_buffers import EventBuffer
from bridge.sse_response import frame_encoder
from pylon.chain.node_connection import MAX_COUNTED_FAILURES, ConnectionOwner, ConnectionTimeouts
from pylon.common.task_supervisor import TaskSupervisor
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events.stored_events import FeedEvent
from pylon_client.log_limit import REMIND_EVERY_S, LogLimit, error_origin

READS = 50


class Node:
    """A chain client whose connection always works, or never."""

    def __init__(self, on_connect: Exception | None = None) -> None:
        self.on_connect = on_connect

    async def connect(self) -> None:
        if self.on_connect is not None:
            raise self.on_connect

    async def close(self) -> None:
        pass


def owner_of(make: Callable[[], Node] = Node) -> ConnectionOwner[Node]:
    timeouts = ConnectionTimeouts(backoff_s=0.0, max_backoff_s=0.0)
    return ConnectionOwner(
        make, role="The chain node", endpoint_label="ws://node", timeouts=timeouts
    )


def fail_with(make: Callable[[], Exception]) -> Callable[[Node], Awaitable[str]]:
    async def fail(_: Node) -> str:
        raise make()

    return fail


async def failing_reads(owner: ConnectionOwner[Node], make: Callable[[], Exception]) -> None:
    for _ in range(READS):
        with pytest.raises(FailureError):
            await owner.call(fail_with(make), timeout_s=5)


def lines(caplog: pytest.LogCaptureFixture, text: str) -> list[logging.LogRecord]:
    return [
        record
        for record in caplog.records
        if text in record.getMessage() and record.levelno >= logging.WARNING
    ]


def test_each_cause_is_due_once_until_the_reminder() -> None:
    now_s = 0.0
    limit = LogLimit(max_causes=2, clock=lambda: now_s)
    assert [limit.is_due("a"), limit.is_due("a"), limit.is_due("b")] == [True, False, True]
    now_s = REMIND_EVERY_S
    assert [limit.is_due("a"), limit.is_due("a")] == [True, False]
    assert limit.is_due("c")  # the oldest, b, is forgotten for it
    assert [limit.is_due("a"), limit.is_due("b")] == [False, True]


def test_errors_are_distinguished_by_class_and_line() -> None:
    def caught(divisor: float) -> Exception:
        with pytest.raises(ArithmeticError) as raised:
            _ = 1e300**2 if divisor else 1 / divisor
        return raised.value

    assert error_origin(caught(1)) == error_origin(caught(2)) != error_origin(caught(0))
    assert error_origin(ValueError("never raised"))[0] == "builtins.ValueError"


async def test_an_undecodable_reply_is_logged_with_one_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = owner_of()
    await failing_reads(owner, lambda: KeyError("a field that is missing"))
    (record,) = lines(caplog, "Unexpected error of the chain SDK")
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
    await failing_reads(owner, lambda: AttributeError("another one"))
    assert len(lines(caplog, "Unexpected error of the chain SDK")) == 2
    assert UNREADABLE.counts == {"answer": 4 * READS}  # each read is repeated once
    await owner.close()


async def test_an_implausible_reply_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = owner_of()
    await failing_reads(owner, lambda: OverflowError("a number that grows"))
    assert len(lines(caplog, "Reading ws://node failed")) == 1
    assert UNREADABLE.counts == {"answer": 2 * READS}
    await owner.close()


async def test_an_unreachable_node_is_logged_while_the_backoff_grows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = owner_of(lambda: Node(OSError(111, "refused")))
    for _ in range(READS):
        with pytest.raises(FailureError) as raised:
            await owner.connection()
        assert raised.value.code is ErrorCode.CHAIN_UNAVAILABLE
    # With the maximum delay, only reminders are logged.
    assert len(lines(caplog, "Cannot connect to ws://node")) == MAX_COUNTED_FAILURES
    await owner.close()


def test_an_unreadable_event_is_logged_once_and_counted_by_the_bridge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unreadable = 0

    def count() -> None:
        nonlocal unreadable
        unreadable += 1

    channel = EventBuffer(frame_encoder("block"), count)
    for number in range(READS):
        block = Block(number=BlockNumber(number), hash=BlockHash(f"0x{number:064x}"))
        event = FeedEvent(str(BlockEventSubject()), block, b"{}")
        channel.add(replace(event, body=b"\xff"), event)
    assert len(lines(caplog, "Could not decode block")) == 1
    assert unreadable == READS


async def test_a_part_that_fails_repeatedly_is_logged_with_one_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fails = READS

    async def run() -> None:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise RuntimeError(f"at {fails}")

    await TaskSupervisor(initial_delay_s=0.0).supervise("part", run)
    records = lines(caplog, "part failed; restart")
    assert len(records) == READS
    assert [record.exc_info is not None for record in records] == [True] + [False] * (READS - 1)
