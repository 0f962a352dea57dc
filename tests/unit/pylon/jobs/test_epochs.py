import time
from typing import Any

import bittensor_core
import pytest
from bittensor import timelock
from hypothesis import assume, given
from hypothesis import strategies as st

from pylon.chain.write_port import Epoch
from pylon.jobs import epochs
from pylon_client.contract.types import BlockNumber

BLOCK_TIME_S = 12.0


@st.composite
def chain_epochs(draw: st.DrawFn) -> Epoch:
    tempo = draw(st.integers(1, 1000))
    last = draw(st.integers(0, 10_000_000))
    # An owner may trigger the next epoch sooner.
    following = last + draw(st.integers(1, tempo))
    block = draw(st.integers(last, following - 1))
    return Epoch(BlockNumber(block), tempo, BlockNumber(last), BlockNumber(following))


@given(chain_epochs())
def test_the_epoch_of_the_next_block_contains_it(epoch: Epoch) -> None:
    window = epochs.epoch_of_next_block(epoch)
    assert window is not None
    assert window.open_block <= epoch.block + 1 < window.close_block


@given(chain_epochs(), st.integers(1, 20))
def test_windows_follow_each_other_without_a_gap(epoch: Epoch, period: int) -> None:
    own = epochs.epoch_of_next_block(epoch)
    nearer = epochs.reveal_window(epoch, period)
    further = epochs.reveal_window(epoch, period + 1)
    assert own is not None
    assert nearer is not None
    assert further is not None
    assert nearer.close_block == further.open_block
    assert nearer.close_block - nearer.open_block == epoch.tempo
    if period == 1:
        assert nearer.open_block == own.close_block


@given(chain_epochs(), st.integers(1, 5))
def test_the_window_never_opens_before_the_commit(epoch: Epoch, period: int) -> None:
    window = epochs.reveal_window(epoch, period)
    assert window is not None
    assert window.open_block > epoch.block


@pytest.mark.parametrize(
    ("last", "tempo", "block", "period"),
    [(1000, 360, 1100, 1), (1000, 360, 1100, 2), (1000, 360, 1359, 1), (1000, 99, 1010, 3)],
)
def test_the_sdk_timelocks_for_the_same_window(
    last: int, tempo: int, block: int, period: int
) -> None:
    core: Any = bittensor_core  # of Rust, without types
    _, reveal_round = core.get_encrypted_commit_v2(
        uids=[0],
        weights=[65535],
        version_key=0,
        last_epoch_block=last,
        pending_epoch_at=0,
        subnet_epoch_index=5,
        tempo=tempo,
        blocks_since_last_step=block - last,
        current_block=block,
        subnet_reveal_period_epochs=period,
        block_time=BLOCK_TIME_S,
        hotkey=bytes(32),
    )
    opens_in_s = timelock.reveal_time(reveal_round).timestamp() - time.time()
    opens_at_block = block + opens_in_s / BLOCK_TIME_S
    epoch = Epoch(BlockNumber(block), tempo, BlockNumber(last), BlockNumber(last + tempo))
    window = epochs.reveal_window(epoch, period)
    assert window is not None
    assert window.open_block <= opens_at_block < window.close_block


def test_a_subnet_without_epochs_never_reveals() -> None:
    epoch = Epoch(BlockNumber(5), 0, BlockNumber(0), None)
    assert epochs.reveal_window(epoch, 1) is None
    assert epochs.epoch_of_next_block(epoch) is None


@given(chain_epochs(), st.integers(0, 10_000_000))
def test_a_job_ends_with_the_epoch_that_accepted_it(epoch: Epoch, accepted: int) -> None:
    assume(accepted <= epoch.block)
    over = epochs.has_ended(epoch, BlockNumber(accepted))
    assert not over or accepted < epoch.start_block
    if accepted >= epoch.start_block:
        assert not over
    if accepted < epoch.start_block - epochs.ACCEPTED_SLACK_BLOCKS:
        assert over


@given(st.integers(0, 10_000), st.integers(0, 1000))
def test_weights_are_accepted_again_after_the_rate_limit(last: int, limit: int) -> None:
    allowed = epochs.next_allowed_block(BlockNumber(last), limit)
    assert allowed in {0, last + limit}
    if last and limit:
        assert allowed - last == limit
