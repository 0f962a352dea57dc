"""Prometheus metrics of a worker; names, types and labels are part of the public interface."""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import Counter, Histogram

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots
from pylon.common.process_metrics import ProcessMetrics, Values
from pylon.common.read_cache import ReadCache
from pylon.common.task_supervisor import TaskSupervisor
from pylon.common.unreadable_records import UNREADABLE
from pylon.jetstream.write_health import WriteHealth
from pylon.rpc.request_server import RequestServer
from pylon.worker.role import WorkerRole
from pylon_client.contract.types import IdentityName

_CHAIN_BUCKETS_S: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
_JOB_BUCKETS_S: Final = (1.0, 5.0, 12.0, 24.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)


class WorkerMetrics(ProcessMetrics):
    """The metrics of one worker.

    Args:
        role: role of the worker.
    """

    def __init__(self, role: WorkerRole = WorkerRole.ALL) -> None:
        super().__init__("worker", role=role)
        registry = self.registry
        self.operation_s = Histogram(
            "pylon_bittensor_operation_duration_seconds",
            "Duration of operations on the chain",
            ("operation", "status", "uri", "netuid", "hotkey"),
            buckets=_CHAIN_BUCKETS_S,
            registry=registry,
        )
        self.fallbacks = Counter(
            "pylon_bittensor_fallback_total",
            "Operations that were sent to the archive node",
            ("reason", "operation", "hotkey"),
            registry=registry,
        )
        self.weights_job_s = Histogram(
            "pylon_apply_weights_job_duration_seconds",
            "Time from acceptance to the end of a weights job",
            ("operation", "status", "netuid", "hotkey"),
            buckets=_JOB_BUCKETS_S,
            registry=registry,
        )
        self.commitment_job_s = Histogram(
            "pylon_set_commitment_job_duration_seconds",
            "Time from acceptance to the end of a commitment job",
            ("operation", "status", "netuid", "hotkey"),
            buckets=_JOB_BUCKETS_S,
            registry=registry,
        )
        self.revealed_commitment_job_s = Histogram(
            "pylon_set_revealed_commitment_job_duration_seconds",
            "Time from acceptance until a timelocked commitment is on chain, or its job has ended",
            ("operation", "status", "netuid", "hotkey"),
            buckets=_JOB_BUCKETS_S,
            registry=registry,
        )
        self.weights_attempt_s = Histogram(
            "pylon_apply_weights_attempt_duration_seconds",
            "Time from signing an extrinsic until its outcome is known",
            ("operation", "status", "netuid", "hotkey"),
            buckets=_JOB_BUCKETS_S,
            registry=registry,
        )
        self.job_transitions = Counter(
            "pylon_job_transitions_total",
            "State changes of jobs by this worker",
            ("kind", "state"),
            registry=registry,
        )
        self.job_failures = Counter(
            "pylon_job_failures_total",
            "Jobs that ended as EXPIRED, REJECTED or FAILED, except weights that were delayed by a "
            "rate limit of the chain only",
            ("identity", "kind", "state"),
            registry=registry,
        )
        self.skipped_blocks = Counter(
            "pylon_skipped_blocks_total",
            "Blocks that were not published: too old, or not readable",
            registry=registry,
        )
        self.skipped_neurons = Counter(
            "pylon_skipped_neurons_total",
            "Blocks for which a subnet's neurons were not published",
            ("netuid",),
            registry=registry,
        )
        self.jobs = self.callback_metric(
            "pylon_jobs",
            "Jobs in the job store that have not ended, and ended jobs that are retained",
            "gauge",
            ("identity", "kind", "state"),
        )
        self.weights_deadline_blocks = self.callback_metric(
            "pylon_weights_deadline_blocks",
            "Blocks until the deadline of the weights in progress",
            "gauge",
            ("netuid", "identity"),
        )
        self.weights_overdue_blocks = self.callback_metric(
            "pylon_weights_overdue_blocks",
            "Blocks since the oldest open weights could have been included, without rate limits",
            "gauge",
            ("netuid", "identity"),
        )
        self._head = self.callback_metric(
            "pylon_chain_head_block", "Number of the chain's newest known block", "gauge"
        )
        self._head_age = self.callback_metric(
            "pylon_chain_head_age_seconds", "Time since the last new head of the chain", "gauge"
        )
        self._last_published = self.callback_metric(
            "pylon_last_published_block",
            "Number of the newest block event that JetStream stores, from any worker; not exposed "
            "by readers that connect as the NATS user reader",
            "gauge",
        )
        self._last_published_age = self.callback_metric(
            "pylon_last_published_age_seconds",
            "Seconds since JetStream stored the newest block event, as read by this worker; nearly "
            "equal at all workers, so alert on the minimum",
            "gauge",
        )
        self._write_failures = self.callback_metric(
            "pylon_jetstream_write_failures",
            "Writes that JetStream did not store: no acknowledgement, or storage full",
            labels=("stream",),
        )
        self.publisher_leader = self.callback_metric(
            "pylon_publisher_leader", "1 if this worker publishes blocks, else 0", "gauge"
        )
        self.publisher_subnets = self.callback_metric(
            "pylon_publisher_subnets",
            "Number of tracked subnets whose neurons this worker publishes",
            "gauge",
        )
        self.publisher_stalls = self.callback_metric(
            "pylon_publisher_stalls",
            "Leaderships that ended because no block was published in time",
        )
        self._cannot_sign = self.callback_metric(
            "pylon_identity_cannot_sign",
            "1 for each identity that no running worker can sign for, by reason",
            "gauge",
            ("identity", "problem"),
        )
        self._cache_hits = self.callback_metric(
            "pylon_read_cache_hits", "Reads served from the cache"
        )
        self._cache_misses = self.callback_metric(
            "pylon_read_cache_misses", "Reads that were not in the cache"
        )
        self._cache_bytes = self.callback_metric(
            "pylon_read_cache_bytes", "Size of the cached results in bytes", "gauge"
        )
        self._requests = self.callback_metric(
            "pylon_service_requests",
            "Requests over NATS with a response",
            labels=("scope", "operation"),
        )
        self._request_failures = self.callback_metric(
            "pylon_service_failures",
            "Requests over NATS with an error response",
            labels=("scope", "operation"),
        )
        self._busy_s = self.callback_metric(
            "pylon_service_busy_seconds",
            "Time spent on requests over NATS",
            labels=("scope", "operation"),
        )
        self._in_progress = self.callback_metric(
            "pylon_service_requests_in_progress", "Requests over NATS in progress", "gauge"
        )
        self._waiting = self.callback_metric(
            "pylon_service_requests_waiting",
            "Requests over NATS that wait for the chain or for a job, without a permit",
            "gauge",
        )
        self._rejected = self.callback_metric(
            "pylon_service_requests_rejected",
            "Requests over NATS that were rejected, by reason",
            labels=("reason",),
        )
        self.callback_metric(
            "pylon_unreadable_records",
            "Reads of records that cannot be decoded: chain, events and job store",
            labels=("kind",),
        ).read = lambda: {(kind,): count for kind, count in UNREADABLE.counts.items()}
        self._part_restarts = self.callback_metric(
            "pylon_worker_part_restarts",
            "Restarts of failed parts of this worker, by part",
            labels=("part",),
        )

    def watch_parts(self, supervisor: TaskSupervisor) -> None:
        """Expose the restarts of the worker's parts."""
        self._part_restarts.read = lambda: {
            (part,): count for part, count in supervisor.restarts.items()
        }

    def watch_head(self, snapshots: Snapshots) -> None:
        """Expose the chain's head and its age."""
        self._head.read = lambda: _as_values(snapshots.head)
        self._head_age.read = lambda: _as_values(snapshots.head_age_s)

    def watch_published(self, published: LastPublished) -> None:
        """Expose the newest published block and its age."""
        self._last_published.read = lambda: _as_values(published.block_number)
        self._last_published_age.read = lambda: _as_values(published.age_s)

    def watch_writes(self, writes: WriteHealth) -> None:
        """Expose the writes that JetStream did not store."""
        self._write_failures.read = lambda: {
            (stream,): count for stream, count in writes.failures.items()
        }

    def watch_signers(self, problems: Callable[[], Mapping[IdentityName, str]]) -> None:
        """Expose the identities without a signer, and the reasons."""
        self._cannot_sign.read = lambda: {
            (str(name), problem): 1.0 for name, problem in problems().items()
        }

    def watch_cache(self, cache: ReadCache) -> None:
        """Expose the hits, misses and size of the read cache."""
        self._cache_hits.read = lambda: {(): cache.hits}
        self._cache_misses.read = lambda: {(): cache.misses}
        self._cache_bytes.read = lambda: {(): cache.size_bytes}

    def watch_service(self, service: RequestServer) -> None:
        """Expose the requests over NATS."""

        def by_endpoint(of: Callable[[int, int, int], float]) -> Callable[[], Values]:
            return lambda: {
                (str(scope), operation): of(counts.requests, counts.errors, counts.processing_ns)
                for (scope, operation), counts in service.discovery.endpoints.items()
                if counts.requests
            }

        self._requests.read = by_endpoint(lambda requests, _errors, _ns: requests)
        self._request_failures.read = by_endpoint(lambda _requests, errors, _ns: errors)
        self._busy_s.read = by_endpoint(lambda _requests, _errors, ns: ns / 1e9)
        self._in_progress.read = lambda: {(): service.in_progress}
        self._waiting.read = lambda: {(): service.waiting}
        self._rejected.read = lambda: {
            ("overloaded",): service.counts.overloaded,
            ("refused",): service.counts.invalid_replies,
            ("unsent",): service.counts.unsent_replies,
        }


def _as_values(value: float | None) -> Values:
    return {} if value is None else {(): value}
