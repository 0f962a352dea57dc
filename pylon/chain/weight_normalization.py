"""Normalization of weights as in the SDK's `SetWeights`, which also reports lost weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from bittensor.intents import normalize
from bittensor.intents.weights import clip_to_max_weight

from pylon.chain.bounds import U16_MAX
from pylon_client.contract.types import NeuronUid


@dataclass(frozen=True, slots=True)
class NormalizedWeights:
    """Weights in the chain's format.

    Attributes:
        weights: weight by uid, in 1/65535 of the largest weight; each is greater than 0.
        rounded_to_zero: uids whose positive weight was rounded to 0.
    """

    weights: Mapping[NeuronUid, int]
    rounded_to_zero: frozenset[NeuronUid]


def normalize_weights(
    weights: Mapping[NeuronUid, float], *, own_uid: NeuronUid, max_weight_limit: int
) -> NormalizedWeights:
    """Return weights in the chain's format.

    Weights of 0 are removed first, because clipping distributes the excess of the largest weight
    over all others. A neuron that sets a weight for itself only is not clipped (`SubtensorModule`:
    `is_self_weight`).

    Args:
        weights: relative weights by uid; at least one is greater than 0.
        own_uid: uid of the neuron that sets the weights.
        max_weight_limit: maximum share of one weight in their sum, in 1/65535.
    """
    positive = {uid: weight for uid, weight in sorted(weights.items()) if weight > 0}
    values = list(positive.values())
    if list(positive) != [own_uid] and max_weight_limit < U16_MAX:
        values = clip_to_max_weight(values, max_weight_limit / U16_MAX)
    uids, quantized = normalize(list(positive), values)
    normalized = {NeuronUid(uid): value for uid, value in zip(uids, quantized, strict=True)}
    return NormalizedWeights(normalized, frozenset(positive) - frozenset(normalized))
