"""Timeouts and limits of a connection to a chain node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """Timeouts and limits of a connection to a chain node.

    Attributes:
        connect_s: timeout of opening a connection, with its first requests, in seconds.
        operation_s: timeout of one operation in seconds, also if no caller waits for it any more.
        discard_after_silence_s: minimum time in seconds without a response before the timeout of a
            caller discards the connection, so that a short timeout of one caller does not break it
            for the others.
        backoff_s: delay after the first failed attempt to connect, in seconds; it doubles with
            each failure.
        max_backoff_s: maximum of that delay, in seconds.
        rate_limit_backoff_s: delay after the node reported a rate limit, in seconds; it doubles
            with each one.
        max_in_flight: maximum number of concurrent operations.
    """

    connect_s: float = 10.0
    operation_s: float = 30.0
    discard_after_silence_s: float = 1.0
    backoff_s: float = 0.25
    max_backoff_s: float = 10.0
    rate_limit_backoff_s: float = 15.0
    max_in_flight: int = 64
