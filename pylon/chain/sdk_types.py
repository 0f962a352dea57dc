"""The part of the SDK's chain access that is used, with the types that it lacks."""

from collections.abc import AsyncIterator
from typing import Any, Protocol


class RawSdk(Protocol):
    """Requests past the SDK's decoding, where its decoding would lose something."""

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        """The `result` of one JSON-RPC request."""
        ...


class Sdk(Protocol):
    """One connection to a chain node."""

    @property
    def raw(self) -> RawSdk:
        """The connection below."""
        ...

    async def connect(self) -> None:
        """Open it."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...

    async def block_hash(self, block: int | None = None) -> str | None:
        """The hash of a block number, or of the best block."""
        ...

    async def get_block(
        self, block_number: int | None = None, block_hash: str | None = None
    ) -> dict[str, Any] | None:
        """A block's header and decoded extrinsics; None for one that cannot be decoded."""
        ...

    async def query(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> Any:
        """One storage value, decoded."""
        ...

    async def query_map(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> list[tuple[Any, Any]]:
        """All entries of a storage map, or those under its first keys, decoded."""
        ...

    async def runtime_call(
        self, api: str, method: str, params: list[Any], block_hash: str | None = None
    ) -> Any:
        """The answer of a runtime API, decoded; ValueError where the runtime has no such API."""
        ...

    def blocks(self, *, finalized: bool = False) -> AsyncIterator[dict[str, Any]]:
        """The headers of new blocks, as the node announces them."""
        ...


SUBTENSOR_PALLET = "SubtensorModule"
