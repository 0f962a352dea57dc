"""Extrinsics of a block that cannot be decoded, and a missing block."""

import pytest

from pylon.chain.queries.extrinsic_queries import Extrinsics
from pylon_client.contract.failures import ErrorCode, FailureError
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

BLOCK = block_of(1_000)


async def test_an_extrinsic_that_cannot_be_decoded_does_not_affect_others() -> None:
    call = {"call_module": "Timestamp", "call_function": "set", "call_args": []}
    good = {"extrinsic_hash": "0x00", "extrinsic_length": 1, "call": call}
    sdk = ScriptedSdk(block={"header": {}, "extrinsics": [good, None, {"odd": 1}, good]})
    found = await Extrinsics().execute(sdk, BLOCK)
    assert [one and one.extrinsic_index for one in found.extrinsics] == [0, None, None, 3]
    assert [one.item for one in found.skipped] == ["1", "2"]


async def test_a_block_without_a_body_is_not_found() -> None:
    with pytest.raises(FailureError, match=r"Block 1000 not found\.") as caught:
        await Extrinsics().execute(ScriptedSdk(), BLOCK)
    assert caught.value.code is ErrorCode.NOT_FOUND
