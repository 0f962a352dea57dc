"""However long a devnet runs, it holds no more than the history it keeps."""

from itertools import pairwise

import pytest

from pylon.devnet.controls import Controls
from pylon.devnet.options import DevnetOptions


def _held(node: Controls) -> int:
    return sum(1 for _ in node.chain.history.versions())


def test_what_is_held_does_not_grow_with_the_chain() -> None:
    node = Controls(DevnetOptions(keep_blocks=40, tempo_blocks=25))
    held: list[int] = []
    for _ in range(5):
        for _ in range(80):
            node._make_block()
        held.append(_held(node))
    node.chain.close()
    # The hashes of the newest 2400 blocks are part of the state: one key more with each block.
    grown = [after - before - 80 for before, after in pairwise(held[1:])]
    assert max(grown) < 200, held


@pytest.mark.parametrize("wrong", [{"block_time_s": 0.01}, {"keep_blocks": 0}, {"tempo_blocks": 0}])
def test_options_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"block|past state|tempo"):
        DevnetOptions(**wrong)
