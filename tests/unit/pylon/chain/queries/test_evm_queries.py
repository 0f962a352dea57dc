"""EVM addresses of neurons."""

from typing import Any

import pytest

from pylon.chain.bounds import ImplausibleError
from pylon.chain.queries.evm_queries import EvmAssociations
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import SubnetEvmAssociations
from pylon_client.contract.types import NetUid
from pylon_devnet.population import hotkey
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

BLOCK = block_of(1000)
FIRST, SECOND = f"0x{'aa' * 20}", f"0x{'bb' * 20}"
KEYS = [(uid, hotkey(1, uid)) for uid in range(3)]


async def associations(entries: list[Any], **storage: Any) -> SubnetEvmAssociations:
    known = {"NetworksAdded": True, "AssociatedEvmAddress": entries, "Keys": KEYS}
    return await EvmAssociations(NetUid(1)).execute(ScriptedSdk(storage=known | storage), BLOCK)


async def test_addresses_are_returned_by_hotkey_in_the_order_of_uids() -> None:
    found = await associations([(2, (SECOND, 900)), (0, (FIRST, 800))])
    assert found.block == BLOCK
    assert [
        (key, one.hotkey, one.evm_address, one.last_block_where_ownership_was_proven)
        for key, one in found.evm_associations.items()
    ] == [
        (hotkey(1, 0), hotkey(1, 0), FIRST, 800),
        (hotkey(1, 2), hotkey(1, 2), SECOND, 900),
    ]
    assert found.skipped == []


async def test_the_entry_of_an_unused_uid_is_skipped() -> None:
    found = await associations([(1, (FIRST, 800)), (3, (SECOND, 900))])
    assert list(found.evm_associations) == [hotkey(1, 1)]
    assert [one.item for one in found.skipped] == ["uid 3"]


async def test_a_missing_subnet_is_not_found() -> None:
    with pytest.raises(FailureError) as caught:
        await associations([], NetworksAdded=False)
    assert caught.value.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("entry", [(70_000, (FIRST, 800)), (1, (FIRST, -1)), (1, (FIRST, 2**32))])
async def test_numbers_out_of_bounds_are_implausible(entry: Any) -> None:
    with pytest.raises(ImplausibleError):
        await associations([entry])
