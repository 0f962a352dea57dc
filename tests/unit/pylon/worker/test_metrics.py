"""Metrics that read the state of a worker's parts."""

from types import SimpleNamespace
from typing import Any, cast

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots
from pylon.common.read_cache import ReadCache
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.role import WorkerRole
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import BlockNumber, IdentityName


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_what_is_not_known_yet_has_no_value() -> None:
    metrics = WorkerMetrics()
    snapshots, published = Snapshots(max_silence_s=60), LastPublished()
    metrics.watch_head(snapshots)
    metrics.watch_published(published)
    names = ("pylon_chain_head_block", "pylon_last_published_block")
    ages = ("pylon_chain_head_age_seconds", "pylon_last_published_age_seconds")
    assert [value(metrics, name) for name in names + ages] == [None] * 4
    snapshots.observe_head(BlockNumber(7))
    published.observe(BlockNumber(6))
    assert [value(metrics, name) for name in names] == [7, 6]
    for name in ages:
        age_s = value(metrics, name)
        assert age_s is not None
        assert age_s >= 0


def test_requests_are_counted_by_scope_and_operation_once_there_are_any() -> None:
    def counts(requests: int, errors: int, processing_ns: int) -> SimpleNamespace:
        return SimpleNamespace(requests=requests, errors=errors, processing_ns=processing_ns)

    service = SimpleNamespace(
        discovery=SimpleNamespace(
            endpoints={
                (Scope.OPEN, "neurons.latest"): counts(3, 1, 2_500_000_000),
                (Scope.IDENTITY, "jobs.get"): counts(0, 0, 0),
            }
        ),
        in_progress=4,
        waiting=5,
        counts=SimpleNamespace(overloaded=6, invalid_replies=7, unsent_replies=8),
    )
    metrics = WorkerMetrics()
    metrics.watch_service(cast("Any", service))
    labels = {"scope": "open", "operation": "neurons.latest"}
    assert value(metrics, "pylon_service_requests_total", **labels) == 3
    assert value(metrics, "pylon_service_failures_total", **labels) == 1
    assert value(metrics, "pylon_service_busy_seconds_total", **labels) == 2.5
    unused = {"scope": "identity", "operation": "jobs.get"}
    assert value(metrics, "pylon_service_requests_total", **unused) is None
    assert value(metrics, "pylon_service_requests_in_progress") == 4
    assert value(metrics, "pylon_service_requests_waiting") == 5
    rejected = {
        reason: value(metrics, "pylon_service_requests_rejected_total", reason=reason)
        for reason in ("overloaded", "refused", "unsent")
    }
    assert rejected == {"overloaded": 6, "refused": 7, "unsent": 8}


def test_mappings_become_labels() -> None:
    metrics = WorkerMetrics()
    problems = {IdentityName("sn1"): "NOT_CONFIGURED"}
    metrics.watch_signers(lambda: problems)
    metrics.watch_parts(cast("Any", SimpleNamespace(restarts={"jobs": 2})))
    metrics.watch_writes(cast("Any", SimpleNamespace(failures={"PYLON_EVENTS": 3})))
    cannot_sign = {"identity": "sn1", "problem": "NOT_CONFIGURED"}
    assert value(metrics, "pylon_identity_cannot_sign", **cannot_sign) == 1
    assert value(metrics, "pylon_worker_part_restarts_total", part="jobs") == 2
    assert value(metrics, "pylon_jetstream_write_failures_total", stream="PYLON_EVENTS") == 3
    problems.clear()
    assert value(metrics, "pylon_identity_cannot_sign", **cannot_sign) is None


def test_a_new_cache_replaces_the_previous_one() -> None:
    metrics = WorkerMetrics()
    for hits in (1, 2):
        cache = ReadCache()
        cache.hits = hits
        metrics.watch_cache(cache)
    assert value(metrics, "pylon_read_cache_hits_total") == 2
    assert value(metrics, "pylon_read_cache_bytes") == 0


def test_the_page_names_the_role() -> None:
    text = WorkerMetrics(WorkerRole.READER).text().decode()
    assert 'role="reader"' in text
    assert "pylon_skipped_blocks_total 0.0" in text
