"""Streams and limits as data, from which workers provision NATS and permissions are made."""

from dataclasses import dataclass
from typing import Final

from pylon_client.contract import subjects


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """A JetStream stream as Pylon needs it.

    Attributes:
        name: the stream's name.
        subjects: what it keeps.
        max_msgs_per_subject: how many of the newest values stay per subject; a work queue takes no
            more than that.
        duplicate_window_s: for how long a message id is remembered.
        max_age_s: how long a value is kept; 0 is for ever.
        is_work_queue: a message is kept until a worker has dealt with it, and no longer.
        allow_msg_ttl: a message may say for itself how long it is kept.
    """

    name: str
    subjects: tuple[str, ...]
    max_msgs_per_subject: int
    duplicate_window_s: int
    max_age_s: int = 0
    is_work_queue: bool = False
    allow_msg_ttl: bool = False

    @property
    def is_bucket(self) -> bool:
        """Whether this is a key-value bucket, whose keys are set by compare-and-set."""
        return self.name.startswith("KV_")


EVENTS: Final = StreamPlan(
    name="PYLON_EVENTS",
    subjects=(subjects.BLOCK_EVENTS, subjects.ALL_NEURONS_EVENTS, subjects.ALL_NEURONS_PARTS),
    max_msgs_per_subject=32,
    duplicate_window_s=3600,
)
"""The last blocks and snapshots; on file, since a stream in memory is gone after a restart."""

JOB_QUEUE: Final = StreamPlan(
    name="PYLON_JOBS",
    subjects=(subjects.ALL_JOBS,),
    max_msgs_per_subject=1000,
    duplicate_window_s=120,
    is_work_queue=True,
)
"""One message for each job in hand, which names it; what the job is stands in the ledger."""

JOBS_BUCKET: Final = "pylon_jobs"
LEASES_BUCKET: Final = "pylon_leases"
LEASE_TTL_S: Final = 15
"""A lease that is not renewed for this long is free."""
LEADERSHIP_BUCKET: Final = "pylon_leadership"
LEADERSHIP_TTL_S: Final = 3
"""So long after a worker that publishes was killed, another one may take over."""

JOB_STORE: Final = StreamPlan(
    name=f"KV_{JOBS_BUCKET}",
    subjects=(f"$KV.{JOBS_BUCKET}.>",),
    max_msgs_per_subject=1,
    duplicate_window_s=120,
    allow_msg_ttl=True,
)
"""The ledger of jobs, a key-value bucket. A job that has ended is written with a time to live of
its own; one in hand has none, and so never expires."""

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
"""Which worker publishes. Apart from the other leases, since it must be free again much sooner, and
may be: two workers that publish at once do no harm."""

STREAMS: Final = (EVENTS, JOB_QUEUE, JOB_STORE, LEASES, LEADERSHIP)

QUEUE_GROUP: Final = "pylon"
"""Requests are shared out among all workers of this queue group."""
REQUEST_MAX_BYTES: Final = 524_288
"""A request's body; more is refused as invalid. Weights of a full subnet have 300 kB."""
SMALL_REQUEST_MAX_BYTES: Final = 16_384
"""The same for all that are no weights. To tell what is wrong with a body takes a worker time."""
REPLIES_IN_FLIGHT_BYTES: Final = 4 * 1024 * 1024
"""Replies that one connection waits for at once, together: half of a server's `max_pending`, over
which the server ends the connection."""
DEFAULT_TIMEOUT_S: Final = 60.0
"""For how long a caller waits that names no deadline."""
MAX_TIMEOUT_S: Final = 300.0
