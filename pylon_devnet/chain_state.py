"""The chain's state by names and Python values, at a past block or in the block being built."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

from pylon_devnet.codec import Codec
from pylon_devnet.state_history import History

_MAX_CACHED_KEYS = 50_000
_UNKNOWN = (None, None)


class StateReader(Protocol):
    """Reads of the state as of one block.

    What is returned may be shared: callers copy a list or dict before they change it.
    """

    @property
    def number(self) -> int:
        """The block whose state this is."""
        ...

    def get(self, pallet: str, item: str, *params: Any) -> Any:
        """The value of a storage item, its default, or None when it has none."""
        ...

    def entries(self, pallet: str, item: str, *params: Any) -> list[tuple[list[Any], Any]]:
        """All entries of a storage map under leading params, as (map keys, value)."""
        ...


class StateStorage:
    """Translates between names and stored bytes, and remembers the decoded newest values.

    Args:
        codec: of the runtime.
        history: where the bytes are.
    """

    def __init__(self, codec: Codec, history: History) -> None:
        self.codec = codec
        self.history = history
        self._keys: dict[tuple[Any, ...], bytes] = {}
        # The bytes object itself tells whether a decoded value is of the version asked for.
        self._decoded: dict[bytes, tuple[bytes | None, Any]] = {}

    def at(self, number: int) -> "PastState":
        """The state after block `number`."""
        return PastState(self, number)

    def draft(self, number: int) -> "Draft":
        """The state of block `number`, which is to be built upon the newest one."""
        return Draft(self, number)

    def key(self, pallet: str, item: str, params: tuple[Any, ...]) -> bytes:
        """The storage key of an item."""
        name = (pallet, item, *params)
        known = self._keys.get(name)
        if known is None:
            if len(self._keys) >= _MAX_CACHED_KEYS:
                self._keys.clear()
            known = self._keys[name] = self.codec.storage_key(pallet, item, params)
        return known

    def evict(self, pallet: str, item: str, params: tuple[Any, ...]) -> bytes:
        """The storage key of an item that is being deleted, of which nothing is remembered."""
        key = self.key(pallet, item, params)
        del self._keys[pallet, item, *params]
        self._decoded.pop(key, None)
        return key

    def decode(self, pallet: str, item: str, key: bytes, raw: bytes | None, *, cache: bool) -> Any:
        """The value that stored bytes, or their absence, stand for."""
        before, value = self._decoded.get(key, _UNKNOWN)
        if raw is not None and before is raw:
            return value
        entry = self.codec.storage_entry(pallet, item)
        if raw is None:
            return None if entry.optional else self.codec.decode(entry.value_type, entry.default)
        value = self.codec.decode(entry.value_type, raw)
        if cache:
            self._decoded[key] = (raw, value)
        return value

    def encode(self, pallet: str, item: str, value: Any) -> bytes:
        """The bytes to store for a value."""
        return self.codec.encode(self.codec.storage_entry(pallet, item).value_type, value)


class _StoredState:
    def __init__(self, storage: StateStorage, number: int) -> None:
        self._storage = storage
        self.number = number

    def raw(self, key: bytes) -> bytes | None:
        """The stored bytes of a key."""
        return self._storage.history.value(key, self.number)

    def get(self, pallet: str, item: str, *params: Any) -> Any:
        """See `State`."""
        key = self._storage.key(pallet, item, params)
        return self._storage.decode(pallet, item, key, self.raw(key), cache=self._is_newest)

    def get_raw(self, pallet: str, item: str, *params: Any) -> bytes | None:
        """The SCALE bytes of a storage item, or None when it has no value."""
        return self.raw(self._storage.key(pallet, item, params))

    def entries(self, pallet: str, item: str, *params: Any) -> list[tuple[list[Any], Any]]:
        """See `State`."""
        found: list[tuple[list[Any], Any]] = []
        for key in self._prefixed(self._storage.key(pallet, item, params)):
            names = self._storage.codec.storage_params(pallet, item, key)
            raw = self.raw(key)
            if raw is not None:
                value = self._storage.decode(pallet, item, key, raw, cache=self._is_newest)
                found.append((names, value))
        return found

    @property
    def _is_newest(self) -> bool:
        return self.number >= self._storage.history.newest

    def _prefixed(self, prefix: bytes) -> list[bytes]:
        return self._storage.history.keys(prefix, self.number)


class PastState(_StoredState):
    """The state after a block that is done."""

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """The keys under a prefix in order, behind `after`, no more than `limit`."""
        return self._storage.history.keys(prefix, self.number, after, limit)


class Draft(_StoredState):
    """The state of a block while it is built: reads see its own writes."""

    def __init__(self, storage: StateStorage, number: int) -> None:
        super().__init__(storage, number)
        self._layers: list[dict[bytes, bytes | None]] = [{}]

    @property
    def changes(self) -> dict[bytes, bytes | None]:
        """What this block changes; None deletes."""
        return self._layers[0]

    def raw(self, key: bytes) -> bytes | None:
        """The bytes of a key, as this block has left them so far."""
        for layer in reversed(self._layers):
            if key in layer:
                return layer[key]
        return super().raw(key)

    def put(self, pallet: str, item: str, *params_and_value: Any) -> None:
        """Sets a storage item: params first, the value last."""
        *params, value = params_and_value
        key = self._storage.key(pallet, item, tuple(params))
        self._layers[-1][key] = self._storage.encode(pallet, item, value)

    def put_raw(self, pallet: str, item: str, params: tuple[Any, ...], raw: bytes) -> None:
        """Sets a storage item to SCALE bytes that must not pass through Python values."""
        self._layers[-1][self._storage.key(pallet, item, params)] = raw

    def delete(self, pallet: str, item: str, *params: Any) -> None:
        """Removes a storage item."""
        self._layers[-1][self._storage.evict(pallet, item, params)] = None

    def change(self, pallet: str, item: str, *params: Any, by: Callable[[Any], Any]) -> None:
        """Replaces a value by a function of itself."""
        self.put(pallet, item, *params, by(self.get(pallet, item, *params)))

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Everything written inside takes effect, or nothing when an exception leaves it."""
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
