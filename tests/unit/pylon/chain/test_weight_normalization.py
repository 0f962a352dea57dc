"""Normalized weights, and weights that are rounded to 0."""

import pytest
from bittensor.intents import normalize
from hypothesis import given
from hypothesis import strategies as st

from pylon.chain.weight_normalization import U16_MAX, normalize_weights
from pylon_client.contract.types import NeuronUid

OWN = NeuronUid(0)


def fitted(weights: dict[int, float], limit: int = U16_MAX) -> tuple[dict[int, int], set[int]]:
    by_uid = {NeuronUid(uid): weight for uid, weight in weights.items()}
    result = normalize_weights(by_uid, own_uid=OWN, max_weight_limit=limit)
    return {int(uid): value for uid, value in result.weights.items()}, {
        int(uid) for uid in result.rounded_to_zero
    }


def test_the_largest_weight_is_the_whole_scale() -> None:
    assert fitted({1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0})[0] == {1: 16384, 2: 32768, 3: 49151, 4: 65535}


def test_a_weight_that_rounds_to_zero_is_reported() -> None:
    assert fitted({1: 1.0, 2: 1e-9, 3: 0.0}) == ({1: 65535}, {2})


def test_an_explicit_zero_gets_no_share_of_clipped_weights() -> None:
    weights, lost = fitted({1: 1.0, 2: 0.0, 3: 0.0}, limit=U16_MAX // 2)
    assert (weights, lost) == ({1: 65535}, set())


def test_a_neuron_that_weighs_itself_alone_is_not_clipped() -> None:
    assert fitted({int(OWN): 0.3}, limit=100) == ({int(OWN): 65535}, set())


@pytest.mark.parametrize("limit", [U16_MAX, 20_000])
def test_no_weight_is_above_the_limit(limit: int) -> None:
    weights, _ = fitted({1: 10.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0}, limit)
    assert max(weights.values()) / sum(weights.values()) <= limit / U16_MAX + 1e-4


@given(st.dictionaries(st.integers(1, 255), st.floats(0, 1e6), min_size=1, max_size=64))
def test_without_a_limit_the_result_equals_that_of_the_sdk(weights: dict[int, float]) -> None:
    if not any(weights.values()):
        return
    uids, values = normalize(list(weights), list(weights.values()))
    assert fitted(weights)[0] == dict(zip(uids, values, strict=True))
