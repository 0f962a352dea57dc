"""The time without progress while blocks are due."""

from pylon.blocks.publish_progress import PublishProgress


class ManualClock:
    """Monotonic time that a test advances."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_without_a_due_block_nothing_is_stalled() -> None:
    clock = ManualClock()
    progress = PublishProgress(clock)
    clock.now_s += 60
    assert progress.stalled_s == 0.0


def test_the_time_since_a_block_became_due_counts() -> None:
    clock = ManualClock()
    progress = PublishProgress(clock)
    progress.mark_due()
    clock.now_s += 5
    progress.mark_due()  # a later due block does not restart the measurement
    clock.now_s += 5
    assert progress.stalled_s == 10.0


def test_a_published_block_restarts_the_measurement() -> None:
    clock = ManualClock()
    progress = PublishProgress(clock)
    progress.mark_due()
    clock.now_s += 5
    progress.mark_published()
    clock.now_s += 2
    assert (progress.stalled_s, progress.published_blocks) == (2.0, 1)


def test_activity_restarts_the_measurement_without_a_published_block() -> None:
    clock = ManualClock()
    progress = PublishProgress(clock)
    progress.mark_active()
    assert progress.stalled_s == 0.0  # no block is due
    progress.mark_due()
    clock.now_s += 5
    progress.mark_active()
    assert (progress.stalled_s, progress.published_blocks) == (0.0, 0)


def test_idle_ends_the_measurement() -> None:
    clock = ManualClock()
    progress = PublishProgress(clock)
    progress.mark_due()
    progress.mark_idle()
    clock.now_s += 5
    assert progress.stalled_s == 0.0
