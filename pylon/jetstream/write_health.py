"""Tracks whether JetStream stores the writes of this process.

A nats-server 2.14 with a full disk does not answer a publish at all, even after there is space
again, until it is restarted. It answers reads and API requests meanwhile. A server that has reached
a limit of its configuration answers with an error.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import nats.errors
import nats.js.errors

from pylon.jetstream.error_codes import is_out_of_storage, is_store_broken
from pylon_client.contract.failures import ErrorCode, FailureError

FAILING_AFTER_S: Final = 8.0
"""Seconds of writes without an acknowledgement after which JetStream counts as unable to store; a
leader election takes up to 6 s."""
FAILURE_EXPIRY_S: Final = 30.0
"""Seconds for which a failed write counts; after that, a new write is attempted."""
STORAGE_REMEDY: Final = (
    "free space on the disks of the NATS servers, then restart the servers that still store "
    "nothing (`pylon up` restarts its own server)"
)
NOT_ACKNOWLEDGED: Final = "it acknowledges no write; the disk of its server may be full"


class NotAcknowledgedError(nats.errors.TimeoutError):
    """A write was not acknowledged in time while NATS was connected."""

    def __str__(self) -> str:
        return NOT_ACKNOWLEDGED


class IsConnected(Protocol):
    """A connection to NATS."""

    @property
    def is_connected(self) -> bool:
        """Return whether a server is connected now."""
        ...


@dataclass(slots=True)
class _FailingStream:
    """Failed writes to a stream since the last stored one.

    Attributes:
        first_sent_s: time at which the first of them was sent.
        last_failed_s: time at which the last of them failed.
        is_certain: whether JetStream reported that it cannot store them.
        reason: JetStream's error, or the missing answer.
    """

    first_sent_s: float
    last_failed_s: float
    is_certain: bool
    reason: str

    def is_failing(self, now_s: float) -> bool:
        """Return whether the failures are recent and last longer than a leader election."""
        took_s = self.last_failed_s - self.first_sent_s
        is_recent = now_s - self.last_failed_s <= FAILURE_EXPIRY_S
        return is_recent and (self.is_certain or took_s >= FAILING_AFTER_S)


class WriteHealth:
    """Records which writes JetStream stored; any thread may use it.

    Args:
        clock_s: monotonic time in seconds.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._failing: dict[str, _FailingStream] = {}
        self._stored_at_s = float("-inf")
        self._failures = Counter[str]()
        self._lock = threading.Lock()

    @property
    def failures(self) -> dict[str, int]:
        """Return the number of failed writes by stream."""
        with self._lock:
            return dict(self._failures)

    @contextmanager
    def track_write(self, stream: str, connection: IsConnected) -> Generator[None]:
        """Record the outcome of the single write to a stream in the block.

        Raises:
            NotAcknowledgedError: instead of the library's timeout, while NATS is connected.
        """
        sent_s = self._clock_s()
        try:
            yield
        except nats.errors.TimeoutError:
            if not connection.is_connected:
                raise
            self._record_failure(stream, sent_s, NOT_ACKNOWLEDGED, is_certain=False)
            raise NotAcknowledgedError from None
        except nats.js.errors.APIError as error:
            is_certain = is_out_of_storage(error)
            if is_certain or is_store_broken(error):
                why = f"{error.description} (error {error.err_code})"
                self._record_failure(stream, sent_s, why, is_certain=is_certain)
            raise
        with self._lock:
            self._failing.pop(stream, None)
            self._stored_at_s = self._clock_s()

    def describe_problem(self, *streams: str) -> str | None:
        """Return the reason why JetStream cannot store writes, or None if it can or is not known.

        Args:
            streams: the streams to write to. A failure of another stream counts as well while no
                stream has stored a later write.
        """
        now_s = self._clock_s()
        with self._lock:
            stored_at_s = self._stored_at_s
            failing = [
                each
                for stream, each in self._failing.items()
                if (stream in streams or each.first_sent_s > stored_at_s) and each.is_failing(now_s)
            ]
        if not failing:
            return None
        first = min(failing, key=lambda each: each.first_sent_s)
        since = time.strftime("%H:%M:%S", time.gmtime(time.time() - (now_s - first.first_sent_s)))
        return f"JetStream has stored nothing since {since} UTC: {first.reason}"

    def require_writable(self, *streams: str) -> None:
        """Raise if JetStream cannot store writes to any of the streams.

        Raises:
            FailureError: NATS_UNAVAILABLE, with the reason.
        """
        problem = self.describe_problem(*streams)
        if problem is not None:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, f"{problem}. Nothing was written.")

    def _record_failure(self, stream: str, sent_s: float, reason: str, *, is_certain: bool) -> None:
        with self._lock:
            self._failures[stream] += 1
            before = self._failing.get(stream)
            since_s = sent_s if before is None else before.first_sent_s
            self._failing[stream] = _FailingStream(since_s, self._clock_s(), is_certain, reason)
