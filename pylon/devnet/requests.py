"""The devnet's memory of what it was asked, so that tests can count."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

RECORDS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One JSON-RPC request.

    Attributes:
        method: the RPC method; a runtime call is `state_call:Api_method`.
        params: the leading params; those of a runtime call are its decoded arguments.
        block_hash: the block it was read at, as 0x-hex; None when it named none.
        block_number: height of the block it was read at; None when it is not known.
    """

    method: str
    params: tuple[Any, ...] = ()
    block_hash: str | None = None
    block_number: int | None = None


class RequestLog:
    """Counts all requests, and keeps the newest `RECORDS_KEPT` of them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._records: deque[RequestRecord] = deque(maxlen=RECORDS_KEPT)

    def add(self, record: RequestRecord) -> None:
        """Enters a request."""
        self._counts[record.method] += 1
        self._records.append(record)

    def counts(self) -> dict[str, int]:
        """How many requests there were since the last `clear`, by method."""
        return dict(self._counts)

    def records(self) -> list[RequestRecord]:
        """The newest requests, oldest first."""
        return list(self._records)

    def clear(self) -> None:
        """Forgets everything."""
        self._counts.clear()
        self._records.clear()
