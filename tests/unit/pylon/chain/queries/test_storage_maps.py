"""Keys and pages of storage maps by hotkey."""

import pytest

from pylon.chain.queries.certificate_queries import NEURON_CERTIFICATES
from pylon.chain.queries.commitment_queries import COMMITMENT_OF, REVEALED_COMMITMENTS, Commitments
from pylon.chain.queries.storage_maps import KEYS_PER_PAGE, HotkeyStorageMap
from pylon_client.contract.ss58 import ss58_address
from pylon_client.contract.types import NetUid
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import hotkey_map_sdk

ONE = NetUid(1)
BLOCK = block_of(1_000)
HEAD = f"0x{'00' * 12}"
"""The deposit and the block of a commitment."""


@pytest.mark.parametrize("known", [COMMITMENT_OF, REVEALED_COMMITMENTS, NEURON_CERTIFICATES])
async def test_a_maps_prefix_is_the_hash_of_its_names(known: HotkeyStorageMap) -> None:
    codec = Devnet(DevnetOptions(port=0, autostart=False)).chain.codec
    pallet, item = known.name.split(".")
    under_one = codec.storage_key(pallet, item, [1])
    assert under_one == known.prefix + b"\x01\x00"


async def test_more_entries_than_a_page_are_all_read() -> None:
    keys = [number.to_bytes(32, "big") for number in range(2 * KEYS_PER_PAGE + 1)]
    sdk = hotkey_map_sdk(dict.fromkeys(keys, f"{HEAD}0402aa"), COMMITMENT_OF)
    found = await Commitments(ONE).execute(sdk, BLOCK)
    assert sdk.raw.pages == 3
    assert set(found.commitments) == {ss58_address(key) for key in keys}
    assert {one.commitment for one in found.commitments.values()} == {"0xaa"}
