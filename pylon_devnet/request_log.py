"""The devnet's memory of what it was asked, so that tests can count."""

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
        method: the RPC method; a runtime call is `state_call:Api_method`.
        params: the leading params; those of a runtime call are its decoded arguments. Of a text
            there are 256 characters, of a list 8 items.
        block_hash: the block it was read at, as 0x-hex; None when it named none.
        block_number: height of the block it was read at; None when it is not known.
    """

    method: str
    params: tuple[Any, ...] = ()
    block_hash: str | None = None
    block_number: int | None = None


class RequestLog:
    """Counts all requests, and keeps the newest `MAX_RECORDS` of them.

    Of what clients invent, no more than `MAX_COUNTED_METHODS` methods are counted.
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
        """Enters a request; see `RequestRecord`."""
        method = method[:_MAX_TEXT_CHARS]
        record = RequestRecord(
            method, tuple(map(_truncate_param, params)), block_hash, block_number
        )
        if record.method in self._counts or len(self._counts) < MAX_COUNTED_METHODS:
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


def _truncate_param(param: Any) -> Any:
    # A request may have 16 MB, and thousands are remembered.
    if isinstance(param, list):
        return [_truncate(item) for item in cast("list[Any]", param)[:_MAX_ITEMS]]
    return _truncate(param)


def _truncate(value: Any) -> Any:
    return value if isinstance(value, int | None) else str(value)[:_MAX_TEXT_CHARS]
