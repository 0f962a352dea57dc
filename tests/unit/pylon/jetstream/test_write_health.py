"""JetStream counts as unable to store, and writes are rejected then."""

import contextlib
from dataclasses import dataclass

import nats.errors
import nats.js.errors
import pytest

from pylon.jetstream.request_retry import retry_while_unavailable
from pylon.jetstream.write_health import NotAcknowledgedError, WriteHealth
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import EVENTS, JOB_QUEUE, JOB_STORE, LEADERSHIP

FULL_SERVER = nats.js.errors.ServiceUnavailableError(
    code=503, err_code=10023, description="insufficient resources"
)
BROKEN_STORE = nats.js.errors.ServiceUnavailableError(
    code=503, err_code=10077, description="write: input/output error"
)
FULL_STREAM = nats.js.errors.ServiceUnavailableError(
    code=503, err_code=10077, description="maximum messages per subject exceeded"
)
CONFLICT = nats.js.errors.BadRequestError(code=400, err_code=10071, description="wrong sequence")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Link:
    is_connected: bool = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> WriteHealth:
    return WriteHealth(clock)


def fails(
    health: WriteHealth,
    clock: Clock,
    stream: str,
    error: Exception | None = None,
    *,
    within_s: float = 3.0,
    link: Link | None = None,
) -> None:
    with contextlib.suppress(nats.errors.Error), health.track_write(stream, link or Link()):
        clock.now_s += within_s
        raise error or nats.errors.TimeoutError


def test_without_a_failure_there_is_no_problem(health: WriteHealth) -> None:
    assert health.describe_problem(JOB_STORE.name) is None
    health.require_writable(JOB_STORE.name)


def test_missing_acknowledgements_count_once_they_last_longer_than_an_election(
    health: WriteHealth, clock: Clock
) -> None:
    for _ in range(2):
        fails(health, clock, EVENTS.name)
        assert health.describe_problem() is None
    fails(health, clock, EVENTS.name)
    problem = health.describe_problem()
    assert problem is not None
    assert "JetStream has stored nothing since" in problem
    assert "the disk of its server may be full" in problem
    with pytest.raises(FailureError) as refused:
        health.require_writable(JOB_STORE.name)
    assert refused.value.code is ErrorCode.NATS_UNAVAILABLE
    assert problem in refused.value.failure.detail


def test_no_answer_counts_only_while_nats_is_connected(health: WriteHealth, clock: Clock) -> None:
    for _ in range(5):
        fails(health, clock, EVENTS.name, link=Link(is_connected=False))
    assert health.describe_problem(EVENTS.name) is None
    assert health.failures == {}


def test_a_limit_of_the_server_counts_at_once(health: WriteHealth, clock: Clock) -> None:
    fails(health, clock, LEADERSHIP.name, FULL_SERVER, within_s=0.0)
    problem = health.describe_problem(JOB_STORE.name)
    assert problem is not None
    assert "insufficient resources (error 10023)" in problem


@pytest.mark.parametrize("error", [FULL_STREAM, CONFLICT], ids=["full stream", "conflict"])
def test_a_rejected_message_is_not_a_storage_problem(
    health: WriteHealth, clock: Clock, error: Exception
) -> None:
    for _ in range(5):
        fails(health, clock, JOB_QUEUE.name, error)
    assert health.describe_problem(JOB_QUEUE.name) is None


def test_a_store_that_fails_counts_when_it_goes_on(health: WriteHealth, clock: Clock) -> None:
    for _ in range(3):
        fails(health, clock, JOB_STORE.name, BROKEN_STORE)
    assert "input/output error (error 10077)" in (health.describe_problem(JOB_STORE.name) or "")


def test_a_write_that_is_stored_ends_it(health: WriteHealth, clock: Clock) -> None:
    for _ in range(3):
        fails(health, clock, EVENTS.name)
    with health.track_write(LEADERSHIP.name, Link()):
        pass
    # The disk has room again, and only the one stream is still broken.
    assert health.describe_problem(JOB_STORE.name) is None
    assert health.describe_problem(EVENTS.name) is not None
    with health.track_write(EVENTS.name, Link()):
        pass
    assert health.describe_problem(EVENTS.name) is None


def test_an_old_failure_allows_a_new_write(health: WriteHealth, clock: Clock) -> None:
    for _ in range(3):
        fails(health, clock, JOB_STORE.name)
    clock.now_s += 31
    assert health.describe_problem(JOB_STORE.name) is None


def test_failures_are_a_metric(health: WriteHealth, clock: Clock) -> None:
    metrics = WorkerMetrics()
    metrics.watch_writes(health)
    fails(health, clock, EVENTS.name)
    fails(health, clock, EVENTS.name, FULL_SERVER)
    value = metrics.registry.get_sample_value(
        "pylon_jetstream_write_failures_total", {"stream": EVENTS.name}
    )
    assert value == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FULL_SERVER, ": insufficient resources (error 10023)."),
        (NotAcknowledgedError(), "the disk of its server may be full."),
        (nats.errors.TimeoutError(), "within 0.3 s."),
    ],
    ids=["full server", "not acknowledged", "no answer"],
)
async def test_the_end_of_all_retries_names_the_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    monkeypatch.setattr("pylon.jetstream.request_retry.RETRY_TIMEOUT_S", 0.3)

    async def ask() -> None:
        raise error

    with pytest.raises(FailureError) as failed:
        await retry_while_unavailable(ask, "The bucket x")
    assert failed.value.code is ErrorCode.NATS_UNAVAILABLE
    assert failed.value.failure.detail.startswith("The bucket x did not answer within 0.3 s")
    assert failed.value.failure.detail.endswith(reason)
