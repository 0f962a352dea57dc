"""Entries of storage maps with a subnet and a hotkey as keys, decoded one by one.

The SDK decodes a whole page of a map or fails. So its raw requests are used here, and a value that
cannot be decoded does not affect the others.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from pylon.chain.scale_decoding import ScaleReader
from pylon.chain.sdk_types import SUBTENSOR_PALLET, Sdk
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, Skipped
from pylon_client.contract.ss58 import ss58_address
from pylon_client.contract.types import Hotkey, NetUid

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEYS_PER_PAGE: Final = 500
"""Number of keys per request; a node returns at most 1,000."""
_ACCOUNT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class HotkeyStorageMap:
    """A storage map whose first key is a netuid, hashed by Identity, and whose second is a hotkey.

    Attributes:
        name: name of the pallet and the item, for logs.
        prefix: prefix of all keys: the twox-128 hashes of the names of the pallet and the item.
    """

    name: str
    prefix: bytes


async def read_hotkey_entries(
    sdk: Sdk,
    storage_map: HotkeyStorageMap,
    netuid: NetUid,
    block: Block,
    decode: Callable[[Hotkey, ScaleReader], T],
) -> tuple[dict[Hotkey, T], list[Skipped]]:
    """Return the decoded values of a subnet by hotkey, and the entries that cannot be decoded.

    Raises:
        FailureError: NOT_FOUND if the subnet does not exist.
    """
    await require_subnet(sdk, netuid, block)
    values: dict[Hotkey, T] = {}
    skipped: list[Skipped] = []
    prefix = storage_map.prefix + netuid.to_bytes(2, "little")
    for key, value in await _read_raw_entries(sdk, prefix, block):
        # Both hashers of the second key append the key itself.
        hotkey = Hotkey(ss58_address(key[-_ACCOUNT_BYTES:]))
        scale = ScaleReader(value)
        try:
            values[hotkey] = decode(hotkey, scale)
            scale.require_end()
        except ValueError as error:
            values.pop(hotkey, None)
            skipped.append(Skipped(item=hotkey, reason=f"it cannot be decoded: {error}"))
            UNREADABLE.report(
                logger,
                storage_map.name,
                (netuid, hotkey, value),
                "Skipped %s of %s on subnet %d at block %d: %s",
                *(storage_map.name, hotkey, netuid, block.number, error),
            )
    return values, skipped


async def require_subnet(sdk: Sdk, netuid: NetUid, block: Block) -> None:
    """Check that a subnet exists at a block.

    Raises:
        FailureError: NOT_FOUND if it does not exist.
    """
    if not await sdk.query(SUBTENSOR_PALLET, "NetworksAdded", [netuid], block.hash):
        raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {netuid} not found.")


async def _read_raw_entries(sdk: Sdk, prefix: bytes, block: Block) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    start = begin = f"0x{prefix.hex()}"
    while True:
        keys: list[str] = await sdk.raw.rpc_request(
            "state_getKeysPaged", [begin, KEYS_PER_PAGE, start, block.hash]
        )
        if keys:
            groups = await sdk.raw.rpc_request("state_queryStorageAt", [keys, block.hash])
            for group in cast("list[dict[str, Any]]", groups or []):
                for key, value in group["changes"]:
                    if value is not None:
                        found.append((bytes.fromhex(key[2:]), bytes.fromhex(value[2:])))
        if len(keys or ()) < KEYS_PER_PAGE:
            return found
        start = keys[-1]
