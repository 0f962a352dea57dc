"""A publisher that publishes nothing releases the lease to another worker."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast

from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.leadership import MAX_CONSECUTIVE_STALLS, Leadership
from pylon.blocks.publish_progress import PublishProgress
from pylon.jetstream.lease import Leases, LeaseTakenError
from tests.support.chain.fake_chain import FakeChain
from tests.support.product.eventually import eventually
from tests.support.product.stepped_loop import run_stepped

STALLED_AFTER_S = 0.3


class OneLease:
    """A lease of two workers in one process."""

    def __init__(self) -> None:
        self._is_free = True

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[None]:
        if not self._is_free:
            raise LeaseTakenError(name)
        self._is_free = False
        try:
            yield
        finally:
            self._is_free = True


class Candidate:
    def __init__(self, lease: Any, *, works: bool) -> None:
        self.works = works
        self.waits_for_nats = False
        self.progress = PublishProgress()
        heads = HeadTracker(FakeChain(10), silence_s=60, poll_after_s=60)
        self.leadership = Leadership(
            lease,
            heads,
            self._publish,
            progress=self.progress,
            stalled_after_s=STALLED_AFTER_S,
        )
        self._tasks = [
            asyncio.create_task(heads.run()),
            asyncio.create_task(self.leadership.run()),
        ]

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _publish(self) -> None:
        while True:
            self.progress.mark_due()
            if self.works:
                self.progress.mark_published()
            elif self.waits_for_nats:
                self.progress.mark_active()
            await asyncio.sleep(0.01)


async def test_a_stalled_leader_releases_the_lease_to_another_worker() -> None:
    lease = OneLease()
    stalling = Candidate(lease, works=False)
    await eventually(lambda: stalling.leadership.is_leader)
    other = Candidate(lease, works=True)
    await eventually(lambda: other.leadership.is_leader)
    assert (stalling.leadership.stalls, stalling.leadership.terms) == (1, 1)
    assert not stalling.leadership.problems, "once is not broken"
    assert not other.leadership.problems
    await stalling.leave()
    await other.leave()


def test_a_leader_with_consecutive_stalls_reports_a_problem_until_it_publishes() -> None:
    async def scenario() -> None:
        only = Candidate(OneLease(), works=False)
        await eventually(lambda: only.leadership.stalls >= MAX_CONSECUTIVE_STALLS)
        assert only.leadership.problems
        only.works = True
        await eventually(lambda: only.progress.published_blocks)
        assert not only.leadership.problems
        await only.leave()

    run_stepped(scenario())


async def test_a_publisher_that_does_not_end_holds_the_lease_no_longer() -> None:
    lease = OneLease()
    is_over = asyncio.Event()

    async def endless() -> None:
        while not is_over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await is_over.wait()

    heads = HeadTracker(FakeChain(10), silence_s=60, poll_after_s=60)
    leadership = Leadership(
        cast("Leases", lease), heads, endless, stalled_after_s=STALLED_AFTER_S, cancel_timeout_s=0.1
    )
    tasks = [asyncio.create_task(heads.run()), asyncio.create_task(leadership.run())]
    await eventually(lambda: leadership.is_leader)
    other = Candidate(lease, works=True)
    await eventually(lambda: other.leadership.is_leader)
    assert leadership.problems == ["its publisher does not end"]
    is_over.set()
    await other.leave()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_leader_that_waits_for_nats_keeps_the_lease() -> None:
    only = Candidate(OneLease(), works=False)
    only.waits_for_nats = True
    await eventually(lambda: only.leadership.is_leader)
    await asyncio.sleep(3 * STALLED_AFTER_S)  # nothing is to happen
    assert (only.leadership.stalls, only.leadership.problems) == (0, [])
    await only.leave()


def test_time_without_a_due_block_is_not_a_stall() -> None:
    now_s = [0.0]
    progress = PublishProgress(lambda: now_s[0])
    now_s[0] = 100.0
    assert progress.stalled_s == 0
    progress.mark_due()
    now_s[0] = 130.0
    assert progress.stalled_s == 30
    progress.mark_due()
    assert progress.stalled_s == 30
    progress.mark_published()
    assert progress.stalled_s == 0
    now_s[0] = 140.0
    progress.mark_idle()
    assert progress.stalled_s == 0
