"""The SDK's chain access for writes by a script: storage by item, and the calls of a runtime."""

from dataclasses import dataclass, field
from typing import Any

from pylon.chain.head_reads import BEST_HEAD_METHOD
from tests.support.chain.fake_chain import block_of, hash_of
from tests.support.chain.scripted_sdk import ScriptedSdk

CALLS = frozenset(
    {
        "SubtensorModule.set_weights",
        "SubtensorModule.set_mechanism_weights",
        "SubtensorModule.commit_timelocked_weights",
        "SubtensorModule.commit_timelocked_mechanism_weights",
        "SubtensorModule.serve_axon_tls",
        "Commitments.set_commitment",
    }
)


class _RawHeads:
    """The best block `number`, without reorgs."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        if method == "chain_getHeader":
            assert params == [hash_of(self.number)]
            return {"parentHash": hash_of(self.number - 1)}
        assert method in {BEST_HEAD_METHOD, "chain_getBlockHash"}
        assert params in (None, [self.number])
        return hash_of(self.number)


@dataclass
class WritingSdk(ScriptedSdk):
    """An SDK at the best block `number` whose items are in `storage`; all others are missing.

    Attributes:
        number: number of the best block.
        calls: names of the calls of the runtime.
        seconds_per_block: the block time.
        composed: the composed calls, each with its parameters.
        block_hashes: hashes of the blocks whose storage was read.
    """

    number: int = 1000
    calls: frozenset[str] = CALLS
    seconds_per_block: float = 12.0
    composed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    block_hashes: set[str | None] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.raw: Any = _RawHeads(self.number)
        self.storage.setdefault("Number", self.number)

    async def query(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> Any:
        """Return an item, or for a function as the item its result for the parameters."""
        if storage_function not in self.storage:
            raise ValueError(f"storage function {module}.{storage_function} not found")
        self.block_hashes.add(block_hash)
        found = self.storage[storage_function]
        return found(*(params or [])) if callable(found) else found

    async def query_batch(
        self,
        module: str,
        storage_function: str,
        param_sets: list[list[Any]],
        block_hash: str | None = None,
    ) -> list[Any]:
        return [
            await self.query(module, storage_function, params, block_hash) for params in param_sets
        ]

    async def runtime_call(
        self, api: str, method: str, params: list[Any], block_hash: str | None = None
    ) -> Any:
        if method not in self.apis:
            raise ValueError(f"runtime API {api}.{method} not found")
        return self.apis[method](*params)

    async def block_time(self) -> float:
        return self.seconds_per_block

    async def compose(self, call: Any) -> Any:
        module, function, parameters = call
        name = f"{module}.{function}"
        if name not in self.calls:
            raise ValueError(f"call {name} not found")
        self.composed.append((name, parameters))
        return f"composed {name}"

    async def find_extrinsic(self, extrinsic_hash: str, block_hash: str) -> Any:
        raise AssertionError(f"nobody looks for {extrinsic_hash}")


BLOCK = block_of(1000)
"""The best block of an SDK with the default number."""
