"""Commitments with layouts that the devnet does not produce."""

import pytest

from pylon.chain.queries.commitment_queries import COMMITMENT_OF, Commitments
from pylon_client.contract import json_codec
from pylon_client.contract.ss58 import ss58_address
from pylon_client.contract.types import NetUid
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import hotkey_map_sdk

ONE = NetUid(1)
BLOCK = block_of(1_000)
KEY = bytes(range(32))
HEAD = f"0x{'00' * 12}"
"""The deposit and the block of a commitment."""


@pytest.mark.parametrize(
    "value",
    [
        "0x",
        "0x00",
        "0x" + "00" * 12 + "04",
        "0x" + "00" * 12 + "0402aabb",
        "0x" + "00" * 12 + "04ff",
    ],
    ids=["empty", "short", "no field", "too long", "unknown kind"],
)
async def test_a_commitment_that_cannot_be_read_is_skipped_with_its_reason(value: str) -> None:
    sdk = hotkey_map_sdk({KEY: value, b"\x01" * 32: f"{HEAD}0402aa"}, COMMITMENT_OF)
    found = await Commitments(ONE).execute(sdk, BLOCK)
    assert list(found.commitments) == [ss58_address(b"\x01" * 32)]
    assert [one.item for one in found.skipped] == [ss58_address(KEY)]
    assert found.skipped[0].reason


async def test_a_reveal_that_failed_is_shown_and_not_skipped() -> None:
    sdk = hotkey_map_sdk(
        {KEY: "0x" + "00" * 8 + "07000000" + "04" + "8904aa0500000000000000"}, COMMITMENT_OF
    )
    found = await Commitments(ONE).execute(sdk, BLOCK)
    (failed,) = found.commitments.values()
    assert found.skipped == []
    assert json_codec.decode(json_codec.encode(failed))["reveal_failed"] is True


async def test_of_several_timelocked_fields_the_last_reveal_counts() -> None:
    fields = "08" + "8604aa0500000000000000" + "8604bb0400000000000000"
    sdk = hotkey_map_sdk({KEY: "0x" + "00" * 8 + "07000000" + fields}, COMMITMENT_OF)
    found = await Commitments(ONE).execute(sdk, BLOCK)
    (timelocked,) = found.commitments.values()
    assert json_codec.decode(json_codec.encode(timelocked)) == {
        "kind": "timelock_encrypted",
        "commitment_block_number": 7,
        "hotkey": ss58_address(KEY),
        "commitment": "0xaa",
        "reveal_round": 5,
        "reveal_failed": False,
    }
