"""The reveal status of a timelocked commitment, from three storage items."""

from typing import Any

import pytest

from pylon.chain.reveal_status import read_reveal_status, reveal_time_s
from pylon.chain.write_port import RevealStatus
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber, Hotkey, NetUid
from tests.support.chain.writing_sdk import BLOCK, WritingSdk

COMMITTED = BlockNumber(100)
SEALED, PLAIN = {"TimelockEncrypted": {}}, {"Raw1": "0x00"}
FAILED = {"TimelockRevealFailed": {}}


def stored(block: int, *fields: Any) -> dict[str, Any]:
    return {"block": block, "info": {"fields": list(fields)}}


async def status(commitment: Any, revealed: Any, last: int | None) -> RevealStatus:
    sdk = WritingSdk(
        storage={
            "CommitmentOf": commitment,
            "RevealedCommitments": revealed,
            "LastCommitment": last,
        }
    )
    found = await read_reveal_status(sdk, NetUid(1), Hotkey("key"), COMMITTED, BLOCK.hash)
    assert sdk.block_hashes == {BLOCK.hash}
    return found


@pytest.mark.parametrize(
    ("commitment", "revealed", "last", "expected"),
    [
        (stored(100, PLAIN, SEALED), [], 100, RevealStatus.PENDING),
        (stored(100, SEALED), [("old", 100)], 100, RevealStatus.PENDING),
        (None, [("text", 101)], 100, RevealStatus.REVEALED),
        (None, [("old", 99), ("text", 101)], 100, RevealStatus.REVEALED),
        (stored(100, PLAIN), [("text", 101)], 100, RevealStatus.REVEALED),
        (None, [], 100, RevealStatus.FAILED),
        (None, None, None, RevealStatus.FAILED),
        (None, [("old", 100)], 100, RevealStatus.FAILED),
        (stored(100, FAILED), [], 100, RevealStatus.FAILED),
        (stored(150, SEALED), [], 150, RevealStatus.REPLACED),
        (stored(150, PLAIN), [], 150, RevealStatus.REPLACED),
        (None, [("the later one's", 160)], 150, RevealStatus.REPLACED),
        (None, [("text", 120), ("the later one's", 160)], 150, RevealStatus.REVEALED),
        # Reveals precede the extrinsics of a block.
        (stored(150, SEALED), [("text", 150)], 150, RevealStatus.REVEALED),
    ],
)
async def test_the_status_follows_from_the_stored_items(
    commitment: Any, revealed: Any, last: int | None, expected: RevealStatus
) -> None:
    assert await status(commitment, revealed, last) is expected


async def test_a_runtime_without_commitments_is_unsupported() -> None:
    with pytest.raises(FailureError) as caught:
        await read_reveal_status(WritingSdk(), NetUid(1), Hotkey("key"), COMMITTED, BLOCK.hash)
    assert caught.value.code is ErrorCode.RUNTIME_UNSUPPORTED


def test_a_round_is_published_every_three_seconds() -> None:
    assert reveal_time_s(1001) - reveal_time_s(1000) == 3
    assert reveal_time_s(1) == 1_692_803_367
