"""Fitting weights to a subnet, as the SDK's `SetWeights` does, so that what is lost is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bittensor.intents import normalize
from bittensor.intents.weights import clip_to_max_weight

from pylon_client.contract.types import NeuronUid

U16_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class NormalizedWeights:
    """Weights as the chain takes them.

    Attributes:
        weights: by uid, in 1/65535 of the largest; none of them is 0.
        rounded_to_zero: the neurons whose weight above 0 is too small for that.
    """

    weights: Mapping[NeuronUid, int]
    rounded_to_zero: frozenset[NeuronUid]


def normalize_weights(
    weights: Mapping[NeuronUid, float], *, own_uid: NeuronUid, max_weight_limit: int
) -> NormalizedWeights:
    """Return weights, some of them above 0, as the chain takes them.

    A weight of 0 is left out first: clipping shares out what it takes from the largest, also to
    those whose weight is 0. A neuron that weighs itself alone is not clipped (`SubtensorModule`:
    `is_self_weight`).

    Args:
        weights: relative weights by uid.
        own_uid: the neuron that sets them.
        max_weight_limit: the largest weight's share of all, in 1/65535.
    """
    positive = {uid: weight for uid, weight in sorted(weights.items()) if weight > 0}
    values = list(positive.values())
    if list(positive) != [own_uid] and max_weight_limit < U16_MAX:
        values = clip_to_max_weight(values, max_weight_limit / U16_MAX)
    uids, quantized = normalize(list(positive), values)
    kept = {NeuronUid(uid): value for uid, value in zip(uids, quantized, strict=True)}
    return NormalizedWeights(kept, frozenset(positive) - frozenset(kept))
