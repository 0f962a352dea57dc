"""Ages in blocks, and the distance of fresh values from the head."""

import pytest

from pylon.common.freshness import MAX_LAG_BLOCKS, age_blocks, is_near_head
from pylon_client.contract.types import BlockNumber


@pytest.mark.parametrize("number", [100 - MAX_LAG_BLOCKS, 100, 100 + MAX_LAG_BLOCKS])
def test_blocks_near_the_head_are_fresh(number: int) -> None:
    assert is_near_head(BlockNumber(number), BlockNumber(100))


@pytest.mark.parametrize("number", [99 - MAX_LAG_BLOCKS, 101 + MAX_LAG_BLOCKS])
def test_blocks_far_from_the_head_are_not_fresh(number: int) -> None:
    assert not is_near_head(BlockNumber(number), BlockNumber(100))


@pytest.mark.parametrize(
    ("head", "silent_s", "age"), [(10, 0.0, 0), (12, 11.9, 2), (12, 12.0, 3), (9, 24.0, 2)]
)
def test_an_age_grows_with_the_head_and_with_its_silence(
    head: int, silent_s: float, age: int
) -> None:
    assert age_blocks(BlockNumber(10), BlockNumber(head), silent_s, 12.0) == age
