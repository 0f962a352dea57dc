"""Streams, buckets and limits, from which workers provision NATS and permissions are built."""

from dataclasses import dataclass
from typing import Final

from pylon_client.contract import subjects


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The configuration of a JetStream stream.

    Attributes:
        name: the stream's name.
        subjects: the subjects that it stores.
        max_msgs_per_subject: maximum number of messages per subject. A work queue rejects further
            messages; other streams discard the oldest.
        duplicate_window_s: seconds within which messages of the same id are dropped.
        max_age_s: seconds after which a message expires; 0 for never.
        is_work_queue: whether a message is removed when a worker has acknowledged it.
        allow_msg_ttl: whether a message may have a time to live.
        is_recoverable: whether its messages can be read again from the chain, so that an
            acknowledged message may be lost when a server crashes.
    """

    name: str
    subjects: tuple[str, ...]
    max_msgs_per_subject: int
    duplicate_window_s: int
    max_age_s: int = 0
    is_work_queue: bool = False
    allow_msg_ttl: bool = False
    is_recoverable: bool = False

    @property
    def is_bucket(self) -> bool:
        """Return whether the stream is a key-value bucket, which is written by compare-and-set."""
        return self.name.startswith("KV_")


EVENTS: Final = StreamPlan(
    name="PYLON_EVENTS",
    subjects=(subjects.BLOCK_EVENTS, subjects.ALL_NEURONS_EVENTS, subjects.ALL_NEURONS_PARTS),
    max_msgs_per_subject=32,
    duplicate_window_s=3600,
    is_recoverable=True,
)
"""The last blocks and snapshots, stored on disk to survive a restart."""

CHANGES: Final = StreamPlan(
    name="PYLON_CHANGES",
    subjects=(subjects.ALL_CHANGES_EVENTS, subjects.ALL_CHANGES_PARTS),
    max_msgs_per_subject=EVENTS.max_msgs_per_subject,
    duplicate_window_s=EVENTS.duplicate_window_s,
    is_recoverable=True,
)
"""The changes between the last snapshots."""

EVENT_SUBJECTS: Final = (*EVENTS.subjects, *CHANGES.subjects)
"""Subjects of the events that every client may receive."""

JOB_QUEUE: Final = StreamPlan(
    name="PYLON_JOBS",
    subjects=(subjects.ALL_JOBS,),
    max_msgs_per_subject=1000,
    duplicate_window_s=120,
    is_work_queue=True,
)
"""One message per open job with the job's id; the job is in the job store."""

JOBS_BUCKET: Final = "pylon_jobs"
LEASES_BUCKET: Final = "pylon_leases"
LEASE_TTL_S: Final = 15
"""Seconds without a renewal after which a lease expires."""
LEADERSHIP_BUCKET: Final = "pylon_leadership"
LEADERSHIP_TTL_S: Final = 3
"""Seconds after the death of the publishing worker until another one may take over."""

JOB_STORE: Final = StreamPlan(
    name=f"KV_{JOBS_BUCKET}",
    subjects=(f"$KV.{JOBS_BUCKET}.>",),
    max_msgs_per_subject=1,
    duplicate_window_s=120,
    allow_msg_ttl=True,
)
"""The job store, a key-value bucket. Ended jobs have a time to live; open jobs never expire."""

LEASES: Final = StreamPlan(
    name=f"KV_{LEASES_BUCKET}",
    subjects=(f"$KV.{LEASES_BUCKET}.>",),
    max_msgs_per_subject=1,
    duplicate_window_s=LEASE_TTL_S,
    max_age_s=LEASE_TTL_S,
)

LEADERSHIP: Final = StreamPlan(
    name=f"KV_{LEADERSHIP_BUCKET}",
    subjects=(f"$KV.{LEADERSHIP_BUCKET}.>",),
    max_msgs_per_subject=1,
    duplicate_window_s=LEADERSHIP_TTL_S,
    max_age_s=LEADERSHIP_TTL_S,
)
"""The lease of the publishing worker.

It expires sooner than other leases: two workers may publish at the same time without harm."""

STREAMS: Final = (EVENTS, CHANGES, JOB_QUEUE, JOB_STORE, LEASES, LEADERSHIP)

QUEUE_GROUP: Final = "pylon"
"""The queue group of workers, among which NATS distributes requests."""
MAX_REQUEST_BYTES: Final = 524_288
"""Maximum size of a request with weights; the weights of a full subnet have 300 kB."""
MAX_SMALL_REQUEST_BYTES: Final = 16_384
"""Maximum size of other requests; validating a large body takes a worker time."""
REPLIES_IN_FLIGHT_BYTES: Final = 4 * 1024 * 1024
"""Maximum size of the expected replies of one connection together.

Half of a server's `max_pending`; the server disconnects clients that exceed it."""
DEFAULT_TIMEOUT_S: Final = 60.0
"""Timeout of requests without a timeout header, in seconds."""
MAX_TIMEOUT_S: Final = 300.0
