"""The maximum age of the last published neurons, and the computation of their age."""

import pytest

from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.reads.recent_neurons import RecentNeurons
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid, Timestamp
from tests.support.chain.fake_chain import block_of

ONE = NetUid(1)
MADE_S = 1_700_000_000


def recent(*, neurons_at: int, newest: int, silent_s: float = 0.0) -> RecentNeurons:
    """Return recent neurons of one block while another is the newest published block."""
    snapshots = Snapshots(max_silence_s=1.0, clock_s=lambda: 0.0)
    block = block_of(newest)
    info = BlockInfo(number=block.number, hash=block.hash, timestamp=Timestamp(MADE_S))
    snapshots.put(str(BlockEventSubject()), Snapshot(block, json_codec.encode(info)))
    snapshots.put(str(NeuronsEventSubject(ONE)), Snapshot(block_of(neurons_at), b"neurons"))
    return RecentNeurons(
        snapshots,
        {ONE},
        hard_limit_blocks=10,
        block_duration_s=12.0,
        now_s=lambda: MADE_S + silent_s,
    )


@pytest.mark.parametrize(
    ("neurons_at", "newest", "silent_s"),
    [(50, 50, 0), (50, 50, -5), (40, 50, 0), (40, 50, 11), (50, 50, 131), (45, 50, 71)],
)
def test_neurons_within_the_age_limit_are_returned(
    neurons_at: int, newest: int, silent_s: float
) -> None:
    answer = recent(neurons_at=neurons_at, newest=newest, silent_s=silent_s).get(ONE)
    assert (answer.body, answer.block) == (b"neurons", block_of(neurons_at))


@pytest.mark.parametrize(
    ("neurons_at", "newest", "silent_s"), [(39, 50, 0), (40, 50, 12), (50, 50, 132), (45, 50, 72)]
)
def test_older_neurons_are_rejected_with_new_blocks_and_with_a_silent_chain(
    neurons_at: int, newest: int, silent_s: float
) -> None:
    with pytest.raises(FailureError, match="about 11 blocks ago") as caught:
        recent(neurons_at=neurons_at, newest=newest, silent_s=silent_s).get(ONE)
    assert (caught.value.code, caught.value.failure.http_status) == (
        ErrorCode.NO_RECENT_SNAPSHOT,
        503,
    )


@pytest.mark.parametrize("skew_s", [-86_400, 86_400])
def test_a_wrong_clock_does_not_count_while_the_head_moves(skew_s: int) -> None:
    """Neither does a gap between what is published and the head."""
    kept = recent(neurons_at=45, newest=50, silent_s=skew_s)
    kept.snapshots.observe_head(BlockNumber(54))
    kept.snapshots.observe_head(BlockNumber(55))
    assert kept.get(ONE).block == block_of(45)
    kept.snapshots.observe_head(BlockNumber(56))
    with pytest.raises(FailureError, match="about 11 blocks ago"):
        kept.get(ONE)


def test_before_the_first_event_there_are_no_recent_neurons() -> None:
    empty = RecentNeurons(
        Snapshots(max_silence_s=1.0), {ONE}, hard_limit_blocks=10, block_duration_s=12.0
    )
    with pytest.raises(FailureError, match="nothing was published yet") as caught:
        empty.get(ONE)
    assert caught.value.code is ErrorCode.NO_RECENT_SNAPSHOT


def test_of_a_subnet_that_is_not_tracked_the_setting_is_named() -> None:
    with pytest.raises(FailureError, match="PYLON_TRACKED_NETUIDS") as caught:
        recent(neurons_at=50, newest=50).get(NetUid(2))
    assert caught.value.code is ErrorCode.NOT_FOUND
