"""How the devnet scales weights."""

import pytest

from pylon_devnet.calls.weight_calls import upscale


@pytest.mark.parametrize(
    ("weights", "stored"),
    [
        ([1, 2, 3, 4], [16384, 32768, 49151, 65535]),
        ([0, 0], [0, 0]),
        ([], []),
        ([7], [65535]),
        ([1, 65535], [1, 65535]),
        ([1, 32768], [2, 65535]),
        ([20000, 40000], [32767, 65535]),
        ([20000, 40001], [32767, 65535]),
    ],
)
def test_the_largest_weight_becomes_the_largest_number(
    weights: list[int], stored: list[int]
) -> None:
    assert upscale(weights) == stored
