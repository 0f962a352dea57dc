"""Results of epochs from weights and stakes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon_devnet.epoch_run import compute_epoch

ROWS = st.dictionaries(
    st.integers(0, 3),
    st.dictionaries(st.integers(4, 9), st.integers(1, 65535)).map(lambda row: list(row.items())),
    max_size=4,
)
STAKES = st.lists(st.integers(1, 10**15), min_size=10, max_size=10)


@given(stakes=STAKES, rows=ROWS)
def test_shares_are_shares(stakes: list[int], rows: dict[int, list[tuple[int, int]]]) -> None:
    outcome = compute_epoch(stakes, rows, 0.5)
    for shares in (outcome.incentive, outcome.dividends):
        assert sum(shares) == pytest.approx(1) or not any(shares)
        assert all(share >= 0 for share in shares)
    assert all(0 <= trust <= 1.000001 for trust in outcome.validator_trust)
    assert all(0 <= consensus <= 1 for consensus in outcome.consensus)


@given(stakes=STAKES, weight=st.integers(1, 65535), more=st.integers(0, 65535))
def test_more_weight_never_means_less_incentive(stakes: list[int], weight: int, more: int) -> None:
    def incentive(of_four: int) -> float:
        rows = {uid: [(4, of_four), (5, 65535)] for uid in range(4)}
        return compute_epoch(stakes, rows, 0.5).incentive[4]

    assert incentive(min(65535, weight + more)) >= incentive(weight) - 1e-12


def test_weights_of_a_minority_are_clipped() -> None:
    stakes = [60, 40, 0, 0]
    rows = {0: [(2, 65535), (3, 6553)], 1: [(3, 65535)]}
    outcome = compute_epoch(stakes, rows, 0.5)
    assert outcome.consensus[3] == pytest.approx(6553 / (65535 + 6553))
    assert outcome.validator_trust[0] == pytest.approx(1)
    assert outcome.validator_trust[1] == pytest.approx(outcome.consensus[3])
    assert outcome.incentive[2] > outcome.incentive[3]
    assert outcome.dividends[0] > outcome.dividends[1]


def test_nobody_set_weights() -> None:
    outcome = compute_epoch([1, 1], {0: []}, 0.5)
    assert outcome.incentive == [0, 0]
    assert outcome.dividends == [0, 0]
