"""Results computed from the newest state, reused until a value that they read changes."""

from collections.abc import Callable, Iterable
from typing import Any

Compute = Callable[[int, Any], tuple[Any, tuple[bytes, ...]]]
"""Computes the result of a position and its row; returns it and the storage keys that it read."""


class ReusedResults:
    """Lists of results, of which only the outdated ones are computed again.

    A key without a value is read too: a result is outdated when the key gets one.
    """

    def __init__(self) -> None:
        self._lists: dict[Any, _Results] = {}
        self._readers: dict[bytes, list[tuple[_Results, int]]] = {}

    def get(self, name: Any, rows: list[Any], compute: Compute) -> list[Any]:
        """Return the result of each row of the list of that name.

        Args:
            name: identifies the list; it stands for the computation.
            rows: arguments of the results; results with other arguments are outdated.
            compute: computes an outdated result.
        """
        known = self._lists.setdefault(name, _Results())
        for at in range(len(rows), len(known.rows)):
            self._set_keys(known, at, ())
        known.resize(len(rows))
        known.observe(rows)
        for at in sorted(known.outdated):
            known.values[at], keys = compute(at, rows[at])
            self._set_keys(known, at, keys)
            known.outdated.discard(at)
        return known.values.copy()

    def on_change(self, keys: Iterable[bytes]) -> None:
        """Mark the results as outdated that read one of the keys, whose values changed."""
        for key in keys:
            for reader, at in self._readers.get(key, ()):
                reader.outdated.add(at)

    def _set_keys(self, reader: "_Results", at: int, keys: tuple[bytes, ...]) -> None:
        if reader.keys[at] == keys:
            return
        for key in reader.keys[at]:
            self._readers[key].remove((reader, at))
            if not self._readers[key]:
                del self._readers[key]
        for key in keys:
            self._readers.setdefault(key, []).append((reader, at))
        reader.keys[at] = keys


class _Results:
    """One list, with the rows and the storage keys that each result was computed from."""

    __slots__ = ("keys", "outdated", "rows", "values")

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.values: list[Any] = []
        self.keys: list[tuple[bytes, ...]] = []
        self.outdated: set[int] = set()

    def resize(self, length: int) -> None:
        """Drop the results at the end, or append outdated ones."""
        known = len(self.rows)
        del self.rows[length:], self.values[length:], self.keys[length:]
        self.rows += [None] * (length - known)
        self.values += [None] * (length - known)
        self.keys += [()] * (length - known)
        self.outdated.update(range(known, length))
        self.outdated.difference_update(range(length, known))

    def observe(self, rows: list[Any]) -> None:
        """Store the rows, and mark the results of changed rows as outdated."""
        if rows != self.rows:
            pairs = enumerate(zip(rows, self.rows, strict=True))
            self.outdated.update(at for at, (row, before) in pairs if row != before)
            self.rows = rows
