"""A fake of the SDK's chain access, for runtimes that the devnet does not have."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache

from pylon.chain.changed_neurons import ChangedNeurons
from pylon.chain.queries.storage_maps import HotkeyStorageMap
from pylon.chain.runtime_answers import RuntimeAnswer
from pylon_client.contract.types import NetUid


class ScriptedRaw:
    """Entries of a storage map, in pages."""

    def __init__(self, entries: dict[str, str]) -> None:
        self.entries = entries
        self.pages = 0

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        assert params is not None
        if method == "state_getKeysPaged":
            prefix, count, start, _ = params
            self.pages += 1
            keys = sorted(key for key in self.entries if key.startswith(prefix) and key > start)
            return keys[:count]
        assert method == "state_queryStorageAt"
        return [{"changes": [[key, self.entries[key]] for key in params[0]]}]


@dataclass
class ScriptedSdk:
    """An SDK that returns values from tables; every other item is missing in the runtime.

    Attributes:
        storage: values by item.
        apis: the result of each runtime API's method.
        block: the decoded block, if there is one.
        entries: of storage maps, by hexadecimal key.
        codec: the codec of every answer.
        decoded: the methods whose answers were decoded.
    """

    storage: dict[str, Any] = field(default_factory=dict)
    apis: dict[str, Callable[..., Any]] = field(default_factory=dict)
    block: dict[str, Any] | None = None
    entries: dict[str, str] = field(default_factory=dict)
    codec: object = field(default_factory=object)
    decoded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.raw = ScriptedRaw(self.entries)
        self.changed_neurons = LRUCache[NetUid, ChangedNeurons](1)

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def block_hash(self, block: int | None = None) -> str | None:
        raise AssertionError(f"unexpected request of the hash of block {block}")

    async def get_block(
        self, block_number: int | None = None, block_hash: str | None = None
    ) -> dict[str, Any] | None:
        return self.block

    async def query(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> Any:
        if storage_function not in self.storage:
            raise ValueError(f"{module}.{storage_function} is not there")
        return self.storage[storage_function]

    async def query_map(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> list[tuple[Any, Any]]:
        return await self.query(module, storage_function, params, block_hash)

    async def runtime_call(
        self, api: str, method: str, params: list[Any], block_hash: str | None = None
    ) -> Any:
        if method not in self.apis:
            raise ValueError(f"{api}.{method} is not there")
        return self.apis[method](*params)

    async def runtime_answer(
        self, api: str, method: str, params: list[Any], block_hash: str
    ) -> RuntimeAnswer:
        value = await self.runtime_call(api, method, params, block_hash)

        def decode() -> Any:
            self.decoded.append(method)
            return value

        return RuntimeAnswer(repr(value).encode(), self.codec, decode)

    def blocks(self, *, finalized: bool = False) -> AsyncIterator[dict[str, Any]]:
        raise AssertionError("unexpected subscription to blocks")


def hotkey_map_sdk(values: dict[bytes, str], storage_map: HotkeyStorageMap) -> ScriptedSdk:
    """Return an SDK with the entries of subnet 1 in a storage map, by public key."""
    prefix = f"0x{storage_map.prefix.hex()}0100{'00' * 8}"
    entries = {f"{prefix}{key.hex()}": value for key, value in values.items()}
    return ScriptedSdk(storage={"NetworksAdded": True}, entries=entries)
