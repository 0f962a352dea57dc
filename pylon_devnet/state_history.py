"""All values of all storage keys, back to the oldest stored state.

The cost of writing, pruning and rewinding depends on the changes, not on the size of the state.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator

_MAX_INSERTED_KEYS = 1000
"""Number of new keys of a block above which sorting all keys is faster than inserting each."""


class _Versions:
    """The versions of one key: `values[i]` is valid from block `numbers[i]` on."""

    __slots__ = ("numbers", "values")

    def __init__(self, number: int, value: bytes | None) -> None:
        self.numbers = [number]
        self.values = [value]


class StateDiscardedError(Exception):
    """The state of the block was pruned."""


class History:
    """Versioned key-value storage.

    Attributes:
        oldest: oldest block whose state can be read.
        newest: newest block that was written.
        on_change: called with the keys whose newest value may have changed.
    """

    def __init__(self) -> None:
        self.oldest = 0
        self.newest = -1
        self.on_change: Callable[[Iterable[bytes]], None] = lambda _keys: None
        self._versions_by_key: dict[bytes, _Versions] = {}
        self._keys: list[bytes] = []
        self._changed: deque[tuple[int, tuple[bytes, ...]]] = deque()

    def __len__(self) -> int:
        return len(self._keys)

    def value(self, key: bytes, number: int) -> bytes | None:
        """Return the value of a key in the state after block `number`.

        Raises:
            StateDiscardedError: that state was pruned.
        """
        if number < self.oldest:
            raise StateDiscardedError
        cell = self._versions_by_key.get(key)
        if cell is None:
            return None
        if cell.numbers[-1] <= number:
            return cell.values[-1]
        position = bisect_right(cell.numbers, number)
        return cell.values[position - 1] if position else None

    def keys(
        self, prefix: bytes, number: int, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Return the keys with a prefix that had a value after block `number`, in order.

        Args:
            prefix: prefix of the keys.
            number: block number.
            after: return only keys after this one.
            limit: maximum number of keys.

        Raises:
            StateDiscardedError: that state was pruned.
        """
        if number < self.oldest:
            raise StateDiscardedError
        found: list[bytes] = []
        position = (
            bisect_right(self._keys, after)
            if after is not None and after > prefix
            else bisect_left(self._keys, prefix)
        )
        while position < len(self._keys) and (limit is None or len(found) < limit):
            key = self._keys[position]
            if not key.startswith(prefix):
                break
            if self.value(key, number) is not None:
                found.append(key)
            position += 1
        return found

    def write(self, number: int, changes: dict[bytes, bytes | None]) -> None:
        """Add the changes of block `number`; None deletes.

        Raises:
            ValueError: the block is not newer than the newest block.
        """
        if number <= self.newest:
            raise ValueError(f"block {number} comes after block {self.newest}")
        added = [key for key, value in changes.items() if not self._append(key, number, value)]
        if len(added) > _MAX_INSERTED_KEYS:
            self._keys = sorted(self._keys + added)
        else:
            for key in added:
                insort(self._keys, key)
        self._changed.append((number, tuple(changes)))
        self.newest = number
        self.on_change(changes)

    def restore(
        self, versions: Iterable[tuple[bytes, int, bytes | None]], *, oldest: int, newest: int
    ) -> None:
        """Load stored versions, sorted by key and block, into an empty history."""
        changed: dict[int, list[bytes]] = {}
        for key, number, value in versions:
            if not self._append(key, number, value):
                self._keys.append(key)
            changed.setdefault(number, []).append(key)
        self._keys.sort()
        self._changed = deque((number, tuple(changed[number])) for number in sorted(changed))
        self.oldest, self.newest = oldest, newest

    def prune(self, oldest: int) -> list[tuple[bytes, int]]:
        """Drop versions that only blocks before `oldest` can read; return the dropped versions."""
        self.oldest = max(self.oldest, min(oldest, self.newest))
        dropped: list[tuple[bytes, int]] = []
        while self._changed and self._changed[0][0] <= self.oldest:
            _, keys = self._changed.popleft()
            for key in keys:
                dropped.extend(self._drop_before(key))
        return dropped

    def rewind(self, number: int) -> None:
        """Remove all changes after block `number`.

        Raises:
            StateDiscardedError: the state of that block was pruned.
        """
        if number < self.oldest:
            raise StateDiscardedError
        while self._changed and self._changed[-1][0] > number:
            later, keys = self._changed.pop()
            self.on_change(keys)
            for key in keys:
                cell = self._versions_by_key[key]
                if cell.numbers[-1] == later:
                    cell.numbers.pop()
                    cell.values.pop()
                self._remove_if_empty(key, cell)
        self.newest = number

    def versions(self) -> Iterator[tuple[bytes, int, bytes | None]]:
        """Yield all stored versions, sorted by key and block."""
        for key in self._keys:
            cell = self._versions_by_key[key]
            for number, value in zip(cell.numbers, cell.values, strict=True):
                yield key, number, value

    def _append(self, key: bytes, number: int, value: bytes | None) -> bool:
        """Append a version; return whether the key had one before."""
        cell = self._versions_by_key.get(key)
        if cell is None:
            self._versions_by_key[key] = _Versions(number, value)
            return False
        cell.numbers.append(number)
        cell.values.append(value)
        return True

    def _drop_before(self, key: bytes) -> Iterator[tuple[bytes, int]]:
        cell = self._versions_by_key.get(key)
        if cell is None:
            return
        keep = bisect_right(cell.numbers, self.oldest) - 1
        if keep > 0:
            for number in cell.numbers[:keep]:
                yield key, number
            del cell.numbers[:keep], cell.values[:keep]
        if len(cell.numbers) == 1 and cell.values[0] is None and cell.numbers[0] <= self.oldest:
            yield key, cell.numbers[0]
            cell.numbers.clear()
            cell.values.clear()
            self._remove_if_empty(key, cell)

    def _remove_if_empty(self, key: bytes, cell: _Versions) -> None:
        if not cell.numbers:
            del self._versions_by_key[key]
            del self._keys[bisect_left(self._keys, key)]
