"""However long a devnet runs, it holds no more than the history it keeps."""

import pytest

from pylon.devnet.controls import Controls
from pylon.devnet.options import DevnetOptions


def _versions_in_excess(node: Controls) -> int:
    history = node.chain.history
    return sum(1 for _ in history.versions()) - len(history)


def test_what_is_held_does_not_grow_with_the_chain() -> None:
    tempo_blocks = 25
    node = Controls(DevnetOptions(keep_blocks=40, tempo_blocks=tempo_blocks))
    excess: list[int] = []
    for _ in range(5):
        # Whole epochs, so that the same number of epochs is in what is kept each time.
        for _ in range(3 * tempo_blocks):
            node._make_block()
        excess.append(_versions_in_excess(node))
    node.chain.close()
    assert max(excess) < 1.1 * min(excess), excess


@pytest.mark.parametrize("wrong", [{"block_time_s": 0.01}, {"keep_blocks": 0}, {"tempo_blocks": 0}])
def test_options_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"block|past state|tempo"):
        DevnetOptions(**wrong)
