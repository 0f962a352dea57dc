"""Prometheus series of three hours of a healthy deployment.

Two bridges, two readers and two signers are restarted one after the other. Weights are put late in
an epoch or wait for a rate limit. Event streams stay open for hours.
"""

from collections.abc import Callable, Iterator
from typing import Any

from tests.support.k8s.alert_rules import series

STEP_S = 30
STEPS = 3 * 3600 // STEP_S
BLOCK_S = 12
EPOCH_BLOCKS = 360
RESTART_STEPS = 4
"""Steps of a restart: two minutes, longer than a restart takes."""

_PROCESSES = (
    *(("bridge", "", "bridge-0"), ("bridge", "", "bridge-1")),
    *(("worker", "reader", "reader-0"), ("worker", "reader", "reader-1")),
    *(("worker", "signer", "signer-0"), ("worker", "signer", "signer-1")),
)
_COUNTERS = {
    "bridge": ("pylon_bridge_part_restarts_total",),
    "worker": ("pylon_worker_part_restarts_total",),
}
_FRONT = {"method": "GET", "app_name": "bittensor-pylon"}


def healthy_series() -> list[dict[str, str]]:
    """Return the series, one value each `STEP_S` seconds."""
    return [*_of_processes(), *_of_blocks(), *_of_writes(), *_of_requests(), *_of_nats()]


def _restarted_at(number: int) -> int:
    return 60 + 20 * number


def _while_up(number: int, value: Callable[[int], float]) -> Iterator[float | None]:
    """Return the values of a process, with the gap of its restart."""
    begin = _restarted_at(number)
    for step in range(STEPS):
        yield None if begin <= step < begin + RESTART_STEPS else value(step)


def _of_processes() -> Iterator[dict[str, str]]:
    for number, (component, role, instance) in enumerate(_PROCESSES):
        begin = _restarted_at(number)
        place = {"job": f"pylon-{role or component}", "instance": instance}

        def since_start(step: int, begin: int = begin) -> float:
            return begin * STEP_S if step >= begin else 0

        def of(name: str, value: Callable[[int], float], **labels: str) -> dict[str, str]:
            return series(name, _while_up(number, value), **place, **labels)  # noqa: B023 -- now

        yield series(
            "up",
            (0 if value is None else 1 for value in _while_up(number, lambda _: 1)),
            **place,
        )
        build = {"component": component, "version": "1"} | ({"role": role} if role else {})
        yield of("pylon_build_info", lambda _: 1, **build)
        yield of("process_start_time_seconds", since_start, component=component)
        yield of("pylon_nats_connected", lambda _: 1, component=component)
        # Three servers of NATS are rolled after two hours; a worker has two connections.
        yield of(
            "pylon_nats_reconnects_total",
            lambda step: 6 if step > 2 * 3600 // STEP_S else 0,
            component=component,
        )
        for name in ("slow_consumer_drops", "permission_violations"):
            yield of(f"pylon_nats_{name}_total", lambda _: 0, component=component)
        for name in _COUNTERS[component]:
            yield of(name, lambda _: 0, part="requests")


def _of_blocks() -> Iterator[dict[str, str]]:
    for number, (_component, role, instance) in enumerate(_PROCESSES):
        place = {"job": f"pylon-{role}", "instance": instance}
        if not role:
            continue
        yield series(
            "pylon_chain_head_age_seconds",
            _while_up(number, lambda step: 6 * (step % 4)),
            **place,
        )
        if role != "signer":
            continue
        # The first signer publishes until it is restarted, then the other until its own restart.
        first, second = _restarted_at(4), _restarted_at(5)
        turns = [range(first), range(first, second), range(second, STEPS)]
        mine = [turns[0], turns[2]] if instance == "signer-0" else [turns[1]]

        def publishes(step: int, mine: list[range] = mine) -> float:
            return float(any(step in turn for turn in mine))

        def age(step: int, mine: list[range] = mine) -> float:
            ended = [turn.stop for turn in mine if turn.stop <= step]
            return 4 if publishes(step, mine) else STEP_S * (step - max(ended, default=0))

        yield series("pylon_publisher_leader", _while_up(number, publishes), **place)
        yield series("pylon_last_published_age_seconds", _while_up(number, age), **place)
        for name in ("publisher_stalls", "skipped_blocks"):
            yield series(f"pylon_{name}_total", _while_up(number, lambda _: 0), **place)
        yield series(
            "pylon_skipped_neurons_total", _while_up(number, lambda _: 0), **place, netuid="1"
        )


def _of_writes() -> Iterator[dict[str, str]]:
    def block(step: int) -> int:
        return step * STEP_S // BLOCK_S % EPOCH_BLOCKS

    def late(step: int) -> tuple[float, float] | None:
        """Blocks left and overdue of weights put 15 blocks before the end, confirmed 8 later."""
        begin = EPOCH_BLOCKS - 15
        if not begin <= block(step) <= begin + 8:
            return None
        return EPOCH_BLOCKS - block(step), block(step) - begin

    def limited(step: int) -> tuple[float, float] | None:
        """Weights that a rate limit holds back beyond the end of the epoch."""
        return EPOCH_BLOCKS - block(step), 0

    for identity, open_weights in (("late", late), ("limited", limited)):
        place = {"job": "pylon-signer", "netuid": "1", "identity": identity}
        for number, instance in ((4, "signer-0"), (5, "signer-1")):
            for index, name in enumerate(("weights_deadline_blocks", "weights_overdue_blocks")):

                def value(step: int, index: int = index, of: Any = open_weights) -> float | None:
                    return None if (both := of(step)) is None else both[index]

                values = (
                    None if up is None else value(step)
                    for step, up in enumerate(_while_up(number, lambda _: 1))
                )
                yield series(f"pylon_{name}", values, instance=instance, **place)
            failures = _while_up(number, lambda _: 0)
            kinds = {"kind": "weights", "state": "EXPIRED", "identity": identity}
            yield series("pylon_job_failures_total", failures, instance=instance, **kinds)
            # A reply to a submission is lost now and then; the era is over after four minutes.
            unknown = _while_up(number, lambda step: float(step % 120 < 8))
            kinds = {"kind": "weights", "state": "UNKNOWN", "identity": identity}
            yield series("pylon_jobs", unknown, instance=instance, **kinds)
    # During a restart of a signer, one sample shows its identity without a signer.
    yield series(
        "pylon_identity_cannot_sign",
        (1 if step == _restarted_at(4) else None for step in range(STEPS)),
        job="pylon-reader",
        instance="reader-0",
        identity="late",
        problem="no",
    )


def _of_requests() -> Iterator[dict[str, str]]:
    def requests(
        path: str, per_step: float, slowest: str, *, status: str = "200"
    ) -> Iterator[dict[str, str]]:
        labels = {**_FRONT, "path": path, "status_code": status, "instance": "bridge-0"}
        labels["job"] = "pylon-bridge"
        total = [per_step * step for step in range(STEPS)]
        yield series("pylon_requests_total", total, **labels)
        yield series("pylon_request_duration_seconds_count", total, **labels)
        for le in ("0.05", "5.0", "300.0", "+Inf"):
            counts = total if float(le) >= float(slowest) else [0.0] * STEPS
            yield series("pylon_request_duration_seconds_bucket", counts, **labels, le=le)

    yield from requests("/api/v1/subnet/{netuid}/block/latest/neurons", 30, "0.05")
    # Most requests are event streams of blocks, neurons and jobs, which stay open for hours.
    yield from requests("/api/v1/block/stream", 60, "+Inf")
    yield from requests("/api/v1/subnet/{netuid}/neurons/stream", 60, "+Inf")
    job = "/api/v1/identity/{identity_name}/subnet/{netuid}/jobs/{job_id}/stream"
    yield from requests(job, 60, "300.0")
    # Callers that disconnect before the response, and probes while NATS is rolled out.
    for path, status, until in (
        ("/api/v1/block/latest", "", STEPS),
        ("/health/ready", "503", 20),
    ):
        errors = [float(10 * min(step, until)) for step in range(STEPS)]
        labels = {**_FRONT, "path": path, "status_code": status, "instance": "bridge-0"}
        yield series("pylon_requests_error_total", errors, **labels, job="pylon-bridge")
        yield series("pylon_requests_total", errors, **labels, job="pylon-bridge")
    # A short burst of connections.
    refused = [float(min(step, 4)) for step in range(STEPS)]
    yield series("pylon_bridge_refused_connections_total", refused, reason="limit")
    head = [float(step) for step in range(STEPS)]
    yield series("pylon_bridge_refused_connections_total", head, reason="head_timeout")
    overload = [float(min(step, 4)) for step in range(STEPS)]
    yield series("pylon_service_requests_rejected_total", overload, reason="overloaded")


def _of_nats() -> Iterator[dict[str, str]]:
    for status, per_step in (("success", 40), ("unknown_block", 20), ("cancelled", 20)):
        counts = [float(per_step * step) for step in range(STEPS)]
        yield series(
            "pylon_bittensor_operation_duration_seconds_count",
            counts,
            status=status,
            operation="neurons",
            uri="ws://node",
            netuid="1",
        )
    # The archive has little to do, and one of its few operations fails.
    for status, count in (("success", 1.0), ("error", 1.0)):
        yield series(
            "pylon_bittensor_operation_duration_seconds_count",
            [0.0 if step < 100 else count for step in range(STEPS)],
            status=status,
            operation="neurons",
            uri="ws://archive",
            netuid="1",
        )
    yield series(
        "pylon_bittensor_fallback_total",
        [float(20 * step) for step in range(STEPS)],
        reason="old_block",
        operation="neurons",
    )
    # One write is not acknowledged while a server of NATS is rolled.
    failures = [float(step > 2 * 3600 // STEP_S) for step in range(STEPS)]
    yield series("pylon_jetstream_write_failures_total", failures, stream="PYLON_EVENTS")
    nats = {"server_name": "nats-0", "job": "pylon/nats"}
    yield series("nats_server_max_storage", [8e9] * STEPS, **nats)
    yield series("nats_server_total_message_bytes", [4e9] * STEPS, **nats)
