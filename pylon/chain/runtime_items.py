"""Access to single items of the chain's runtime, with errors that name a missing item.

The SDK raises a bare ValueError for an item that is missing from the metadata, and for a value that
does not decode, as in the block of a runtime upgrade. Only the first case is permanent.
"""

from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from pylon.chain.sdk_types import StorageSdk
from pylon_client.contract.failures import ErrorCode, FailureError

T = TypeVar("T")

_MISSING_ITEM_SUFFIXES: Final = (" not found", " not found in registry")
"""Ends of the SDK's error texts for missing storage items, calls and runtime APIs."""


async def require_item(item: str, awaitable: Awaitable[T]) -> T:
    """Return the result of a use of an item.

    Args:
        item: name of the item, such as `SubtensorModule.Tempo`.
        awaitable: the use of the item.

    Raises:
        FailureError: RUNTIME_UNSUPPORTED with the name of the item, if the runtime lacks it.
    """
    try:
        return await awaitable
    except ValueError as error:
        if not str(error).endswith(_MISSING_ITEM_SUFFIXES):
            raise
        raise FailureError(
            ErrorCode.RUNTIME_UNSUPPORTED, f"The chain's runtime does not have {item}."
        ) from error


async def optional_item(item: str, awaitable: Awaitable[T]) -> T | None:
    """Return the result of a use of an item, or None if the runtime lacks the item."""
    try:
        return await require_item(item, awaitable)
    except FailureError as error:
        if error.code is not ErrorCode.RUNTIME_UNSUPPORTED:
            raise
        return None


async def read_storage(
    sdk: StorageSdk, pallet: str, item: str, keys: list[Any], block_hash: str | None
) -> Any:
    """Return a storage value; raise as `require_item` does."""
    return await require_item(f"{pallet}.{item}", sdk.query(pallet, item, keys, block_hash))


async def read_optional_storage(
    sdk: StorageSdk, pallet: str, item: str, keys: list[Any], block_hash: str | None
) -> Any:
    """Return a storage value, or None if the runtime lacks the item."""
    return await optional_item(f"{pallet}.{item}", sdk.query(pallet, item, keys, block_hash))
