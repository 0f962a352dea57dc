"""Storage access by pallet and item names, at a past block or in the block being built."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

from pylon_devnet.codec import Codec
from pylon_devnet.reused_results import ReusedResults
from pylon_devnet.state_history import History

_MAX_CACHED_KEYS = 300_000
"""More than are read at 128 subnets of 256 neurons; a key takes about 300 bytes."""
_UNKNOWN = (None, None)
_UNCACHED_ITEMS = ("Weights", "Bonds")
"""Items that take most of the memory when decoded, and are hardly read between epochs."""

ForUid = Callable[["StateReader", int, int, Any], Any]
"""Computes a result for a state, netuid, uid and row."""


class StateReader(Protocol):
    """Read access to the state of one block.

    Returned values may be shared: callers copy a list or dict before they modify it.
    """

    @property
    def number(self) -> int:
        """Number of the block."""
        ...

    def get(self, pallet: str, item: str, *params: Any) -> Any:
        """Return the value of a storage item, its default, or None without a default."""
        ...

    def entries(self, pallet: str, item: str, *params: Any) -> list[tuple[list[Any], Any]]:
        """Return the entries of a storage map under leading params, as (map keys, value)."""
        ...

    def for_each_uid(self, compute: ForUid, netuid: int, rows: list[Any]) -> list[Any]:
        """Return `compute(state, netuid, uid, row)` for the row of each uid.

        The newest state reuses results until a value that they read changes.

        Args:
            compute: computes a result from these arguments and values of `get` alone.
            netuid: the subnet.
            rows: other arguments by uid.
        """
        ...


class StateStorage:
    """Encodes and decodes storage items by name, and caches the newest decoded values.

    Args:
        codec: codec of the runtime.
        history: stored bytes by key and block.
    """

    def __init__(self, codec: Codec, history: History) -> None:
        self.codec = codec
        self.history = history
        self._keys: dict[tuple[Any, ...], bytes] = {}
        # A cached value is valid if its bytes are the very object in the history.
        self._decoded: dict[bytes, tuple[bytes | None, Any]] = {}
        self._results = ReusedResults()
        history.on_change = self._results.on_change

    def at(self, number: int) -> "PastState":
        """Return the state after block `number`."""
        return PastState(self, number)

    def draft(self, number: int) -> "Draft":
        """Return a draft of block `number`, which follows the newest block."""
        return Draft(self, number)

    def key(self, pallet: str, item: str, params: tuple[Any, ...]) -> bytes:
        """Return the storage key of an item."""
        name = (pallet, item, *params)
        known = self._keys.get(name)
        if known is None:
            if len(self._keys) >= _MAX_CACHED_KEYS:
                self._keys.clear()
            known = self._keys[name] = self.codec.storage_key(pallet, item, params)
        return known

    def evict(self, pallet: str, item: str, params: tuple[Any, ...]) -> bytes:
        """Remove an item that is being deleted from the caches; return its storage key."""
        key = self.key(pallet, item, params)
        del self._keys[pallet, item, *params]
        self._decoded.pop(key, None)
        return key

    def decode(self, pallet: str, item: str, key: bytes, raw: bytes | None, *, cache: bool) -> Any:
        """Decode stored bytes; without bytes, return the default or None."""
        before, value = self._decoded.get(key, _UNKNOWN)
        if raw is not None and before is raw:
            return value
        entry = self.codec.storage_entry(pallet, item)
        if raw is None:
            return None if entry.optional else self.codec.decode(entry.value_type, entry.default)
        value = self.codec.decode(entry.value_type, raw)
        if cache and item not in _UNCACHED_ITEMS:
            self._decoded[key] = (raw, value)
        return value

    def for_each_uid(self, compute: ForUid, netuid: int, rows: list[Any]) -> list[Any]:
        """Return the results in the newest state; see `StateReader`."""

        def trace(uid: int, row: Any) -> tuple[Any, tuple[bytes, ...]]:
            state = _TracedState(self, self.history.newest)
            return compute(state, netuid, uid, row), tuple(state.keys)

        return self._results.get((compute, netuid), rows, trace)

    def encode(self, pallet: str, item: str, value: Any) -> bytes:
        """Return the SCALE bytes of a value."""
        return self.codec.encode(self.codec.storage_entry(pallet, item).value_type, value)


class _StoredState:
    def __init__(self, storage: StateStorage, number: int) -> None:
        self._storage = storage
        self.number = number

    def raw(self, key: bytes) -> bytes | None:
        """Return the stored bytes of a key."""
        return self._storage.history.value(key, self.number)

    def get(self, pallet: str, item: str, *params: Any) -> Any:
        """See `StateReader`."""
        key = self._storage.key(pallet, item, params)
        return self._storage.decode(pallet, item, key, self.raw(key), cache=self._is_newest)

    def get_raw(self, pallet: str, item: str, *params: Any) -> bytes | None:
        """Return the SCALE bytes of a storage item, or None if it has no value."""
        return self.raw(self._storage.key(pallet, item, params))

    def entries(self, pallet: str, item: str, *params: Any) -> list[tuple[list[Any], Any]]:
        """See `StateReader`."""
        found: list[tuple[list[Any], Any]] = []
        for key in self._prefixed(self._storage.key(pallet, item, params)):
            names = self._storage.codec.storage_params(pallet, item, key)
            raw = self.raw(key)
            if raw is not None:
                value = self._storage.decode(pallet, item, key, raw, cache=self._is_newest)
                found.append((names, value))
        return found

    def for_each_uid(self, compute: ForUid, netuid: int, rows: list[Any]) -> list[Any]:
        """See `StateReader`."""
        return [compute(self, netuid, uid, row) for uid, row in enumerate(rows)]

    @property
    def _is_newest(self) -> bool:
        return self.number >= self._storage.history.newest

    def _prefixed(self, prefix: bytes) -> list[bytes]:
        return self._storage.history.keys(prefix, self.number)


class _TracedState(_StoredState):
    """A state that records which keys were read."""

    def __init__(self, storage: StateStorage, number: int) -> None:
        super().__init__(storage, number)
        self.keys: dict[bytes, None] = {}

    def raw(self, key: bytes) -> bytes | None:
        """Return the stored bytes of a key, and record it."""
        self.keys[key] = None
        return super().raw(key)

    @property
    def _is_newest(self) -> bool:
        return False  # the result is stored instead of the values

    def _prefixed(self, prefix: bytes) -> list[bytes]:
        raise TypeError(f"a result that reads all keys of 0x{prefix.hex()} cannot be reused")


class PastState(_StoredState):
    """The state after a finished block."""

    def for_each_uid(self, compute: ForUid, netuid: int, rows: list[Any]) -> list[Any]:
        """See `StateReader`."""
        if self.number == self._storage.history.newest:
            return self._storage.for_each_uid(compute, netuid, rows)
        return super().for_each_uid(compute, netuid, rows)

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Return the keys with a prefix in order, after key `after`, at most `limit`."""
        return self._storage.history.keys(prefix, self.number, after, limit)


class Draft(_StoredState):
    """The state of a block being built; reads see its own writes."""

    def __init__(self, storage: StateStorage, number: int) -> None:
        super().__init__(storage, number)
        self._layers: list[dict[bytes, bytes | None]] = [{}]

    @property
    def changes(self) -> dict[bytes, bytes | None]:
        """Changed values of this block by storage key; None deletes."""
        return self._layers[0]

    def raw(self, key: bytes) -> bytes | None:
        """Return the bytes of a key, including the changes of this block."""
        for layer in reversed(self._layers):
            if key in layer:
                return layer[key]
        return super().raw(key)

    def put(self, pallet: str, item: str, *params_and_value: Any) -> None:
        """Set a storage item: params first, the value last."""
        *params, value = params_and_value
        key = self._storage.key(pallet, item, tuple(params))
        self._layers[-1][key] = self._storage.encode(pallet, item, value)

    def put_raw(self, pallet: str, item: str, params: tuple[Any, ...], raw: bytes) -> None:
        """Set a storage item to SCALE bytes, without decoding them."""
        self._layers[-1][self._storage.key(pallet, item, params)] = raw

    def delete(self, pallet: str, item: str, *params: Any) -> None:
        """Delete a storage item."""
        self._layers[-1][self._storage.evict(pallet, item, params)] = None

    def change(self, pallet: str, item: str, *params: Any, by: Callable[[Any], Any]) -> None:
        """Replace a value with the result of `by` for it."""
        self.put(pallet, item, *params, by(self.get(pallet, item, *params)))

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Roll back all changes made within the block if it raises."""
        self._layers.append({})
        try:
            yield
        except BaseException:
            self._layers.pop()
            raise
        layer = self._layers.pop()
        self._layers[-1].update(layer)

    def _prefixed(self, prefix: bytes) -> list[bytes]:
        found = set(super()._prefixed(prefix))
        for layer in self._layers:
            for key, value in layer.items():
                if key.startswith(prefix):
                    (found.discard if value is None else found.add)(key)
        return sorted(found)
