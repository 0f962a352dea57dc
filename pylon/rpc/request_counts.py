"""Counters of requests without a result, for metrics."""

from dataclasses import dataclass


@dataclass(slots=True)
class RequestCounts:
    """Requests that a service did not answer with a result.

    Attributes:
        invalid_replies: requests dropped without a reply, since their reply subject is not valid.
        overloaded: requests rejected since their caller had too many in progress.
        unsent_replies: replies that could not be sent.
        cancelled: requests that their caller cancelled.
    """

    invalid_replies: int = 0
    overloaded: int = 0
    unsent_replies: int = 0
    cancelled: int = 0
