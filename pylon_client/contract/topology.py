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
        max_msgs_per_subject: how many of the newest values stay per subject.
        duplicate_window_s: for how long a message id is remembered.
        max_age_s: how long a value is kept; 0 is for ever.
    """

    name: str
    subjects: tuple[str, ...]
    max_msgs_per_subject: int
    duplicate_window_s: int
    max_age_s: int = 0


EVENTS: Final = StreamPlan(
    name="PYLON_EVENTS",
    subjects=(subjects.BLOCK_EVENTS, subjects.ALL_NEURONS_EVENTS),
    max_msgs_per_subject=32,
    duplicate_window_s=3600,
)
"""The last blocks and snapshots; on file, since a stream in memory is gone after a restart."""

STREAMS: Final = (EVENTS,)

QUEUE_GROUP: Final = "pylon"
"""Requests are shared out among all workers of this queue group."""
REQUEST_MAX_BYTES: Final = 65_536
"""A request's body; more is refused as invalid."""
DEFAULT_TIMEOUT_S: Final = 60.0
"""For how long a caller waits that names no deadline."""
MAX_TIMEOUT_S: Final = 300.0
