"""Types of the part of the SDK that is used for reading."""

from collections.abc import AsyncIterator, MutableMapping
from typing import Any, Final, Protocol

from pylon.chain.changed_neurons import ChangedNeurons
from pylon.chain.runtime_answers import RuntimeAnswer
from pylon_client.contract.types import MechanismId, NetUid


class RawSdk(Protocol):
    """Requests whose results the SDK does not decode."""

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        """Return the `result` of one JSON-RPC request."""
        ...


class StorageSdk(Protocol):
    """Reads of single storage items."""

    async def query(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> Any:
        """Return one decoded storage value."""
        ...


class Sdk(StorageSdk, Protocol):
    """One connection to a chain node."""

    @property
    def changed_neurons(self) -> MutableMapping[NetUid, ChangedNeurons]:
        """Return the last neurons of each subnet over this connection."""
        ...

    @property
    def raw(self) -> RawSdk:
        """Return the underlying transport."""
        ...

    async def connect(self) -> None:
        """Open the connection."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...

    async def block_hash(self, block: int | None = None) -> str | None:
        """Return the hash of a block by number, or of the best block."""
        ...

    async def get_block(
        self, block_number: int | None = None, block_hash: str | None = None
    ) -> dict[str, Any] | None:
        """Return a block's header and decoded extrinsics; None for one that cannot be decoded."""
        ...

    async def query_map(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> list[tuple[Any, Any]]:
        """Return the decoded entries of a storage map, or of a prefix of its keys."""
        ...

    async def runtime_call(
        self, api: str, method: str, params: list[Any], block_hash: str | None = None
    ) -> Any:
        """Return the decoded result of a runtime API; raise ValueError if the runtime lacks it."""
        ...

    async def runtime_answer(
        self, api: str, method: str, params: list[Any], block_hash: str
    ) -> RuntimeAnswer:
        """Return the result of a runtime API without decoding it; raise as `runtime_call` does."""
        ...

    def blocks(self, *, finalized: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Yield the headers of new blocks that the node announces."""
        ...


SUBTENSOR_PALLET: Final = "SubtensorModule"
MECHANISM_STRIDE: Final = 4096
"""Storage index of mechanism m of a subnet: netuid + m x 4096 (GLOBAL_MAX_SUBNET_COUNT)."""


def mechanism_storage_index(netuid: NetUid, mechanism: MechanismId) -> int:
    """Return the storage index of a mechanism's items."""
    return mechanism * MECHANISM_STRIDE + netuid
