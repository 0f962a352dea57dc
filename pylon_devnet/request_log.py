"""Log of JSON-RPC requests, for tests."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

MAX_RECORDS = 10_000
MAX_COUNTED_METHODS = 1_000
_MAX_TEXT_CHARS = 256
_MAX_ITEMS = 8


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One JSON-RPC request.

    Attributes:
        method: RPC method; `state_call:Api_method` for runtime calls.
        params: leading params, for runtime calls the decoded arguments; texts are truncated to 256
            characters, lists to 8 items.
        block_hash: block hash of the request as 0x-hex; None without one.
        block_number: number of that block, or of the newest; None if unknown.
    """

    method: str
    params: tuple[Any, ...] = ()
    block_hash: str | None = None
    block_number: int | None = None


class RequestLog:
    """Counts all requests, and stores the newest `MAX_RECORDS` of them.

    At most `MAX_COUNTED_METHODS` methods are counted, since clients can send arbitrary names.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._records: deque[RequestRecord] = deque(maxlen=MAX_RECORDS)

    def add(
        self,
        method: str,
        params: Sequence[Any] = (),
        block_hash: str | None = None,
        block_number: int | None = None,
    ) -> None:
        """Add a request; see `RequestRecord`."""
        method = method[:_MAX_TEXT_CHARS]
        record = RequestRecord(
            method, tuple(map(_truncate_param, params)), block_hash, block_number
        )
        if record.method in self._counts or len(self._counts) < MAX_COUNTED_METHODS:
            self._counts[record.method] += 1
        self._records.append(record)

    def counts(self) -> dict[str, int]:
        """Return the number of requests since the last `clear` by method."""
        return dict(self._counts)

    def records(self) -> list[RequestRecord]:
        """Return the newest requests, oldest first."""
        return list(self._records)

    def clear(self) -> None:
        """Clear counts and records."""
        self._counts.clear()
        self._records.clear()


def _truncate_param(param: Any) -> Any:
    # A request may have 16 MB, and thousands are stored.
    if isinstance(param, list):
        return [_truncate(item) for item in cast("list[Any]", param)[:_MAX_ITEMS]]
    return _truncate(param)


def _truncate(value: Any) -> Any:
    return value if isinstance(value, int | None) else str(value)[:_MAX_TEXT_CHARS]
