"""Simulated activity of a devnet: stakes move, pools trade, validators set weights.

A few values change with every block, as on an active subnet. They depend only on the seed and the
block number. The validators at uid 0 are left to the devnet's users.
"""

from collections.abc import Sequence
from random import Random

from pylon_devnet.chain_state import Draft
from pylon_devnet.epoch_run import ALPHA_PER_BLOCK_RAO
from pylon_devnet.seeded_random import seeded_random
from pylon_devnet.subnet_state import (
    ROOT_NETUID,
    SUBTENSOR,
    U16_MAX,
    alpha_stake,
    netuids,
    neuron_count,
    value,
)

_STAKES_MOVED_PER_BLOCK = 3
_MEAN_BLOCKS_BETWEEN_WEIGHTS = 100


def simulate_activity(draft: Draft, seed: int) -> None:
    """Write the activity of other accounts into the block being built."""
    for netuid in netuids(draft):
        if netuid == ROOT_NETUID:
            continue
        random = seeded_random(seed, netuid, draft.number)
        _trade(draft, netuid, random)
        _move_stakes(draft, netuid, random)
        _set_weights(draft, netuid, random)


def draw_weights(random: Random, miners: Sequence[int]) -> list[tuple[int, int]]:
    """Draw random weights of a validator, Pareto distributed; the largest is 65535."""
    drawn = {miner: random.paretovariate(1.5) for miner in miners if random.random() < 0.9}  # noqa: PLR2004 - most
    top = max(drawn.values(), default=1.0)
    return [
        (miner, weight)
        for miner, share in drawn.items()
        if (weight := round(share / top * U16_MAX))
    ]


def _trade(draft: Draft, netuid: int, random: Random) -> None:
    tao, alpha = value(draft, "SubnetTAO", netuid), value(draft, "SubnetAlphaIn", netuid)
    # A swap keeps the product of the pool's sides.
    swapped = int(tao * random.uniform(-0.0005, 0.0005))
    after = tao + swapped
    alpha_after = tao * alpha // max(1, after)
    draft.put(SUBTENSOR, "SubnetTAO", netuid, after + ALPHA_PER_BLOCK_RAO // 20)
    draft.put(SUBTENSOR, "SubnetAlphaIn", netuid, alpha_after + ALPHA_PER_BLOCK_RAO)
    draft.change(SUBTENSOR, "SubnetAlphaOut", netuid, by=lambda out: out + ALPHA_PER_BLOCK_RAO)
    draft.change(SUBTENSOR, "SubnetVolume", netuid, by=lambda volume: volume + abs(swapped))
    price = (after << 32) // max(1, alpha_after)
    draft.change(
        SUBTENSOR,
        "SubnetMovingPrice",
        netuid,
        by=lambda moving: {"bits": moving["bits"] + (price - moving["bits"]) // 100},
    )
    for item in ("PendingServerEmission", "PendingValidatorEmission"):
        draft.change(SUBTENSOR, item, netuid, by=lambda rao: rao + ALPHA_PER_BLOCK_RAO // 2)


def _move_stakes(draft: Draft, netuid: int, random: Random) -> None:
    for _ in range(_STAKES_MOVED_PER_BLOCK):
        uid = random.randrange(1, neuron_count(draft, netuid))
        key = value(draft, "Keys", netuid, uid)
        moved = int(alpha_stake(draft, netuid, key) * random.uniform(0.998, 1.003))
        draft.put(SUBTENSOR, "TotalHotkeyAlpha", key, netuid, moved)


def _set_weights(draft: Draft, netuid: int, random: Random) -> None:
    permits = value(draft, "ValidatorPermit", netuid)
    validators = [uid for uid, permitted in enumerate(permits) if permitted and uid > 0]
    setting = [uid for uid in validators if random.random() * _MEAN_BLOCKS_BETWEEN_WEIGHTS < 1]
    if not setting:
        return
    last_update = list(value(draft, "LastUpdate", netuid))
    for uid in setting:
        row = value(draft, "Weights", netuid, uid)
        changed = [
            (miner, max(1, min(U16_MAX, int(weight * random.uniform(0.9, 1.1)))))
            for miner, weight in row
        ]
        draft.put(SUBTENSOR, "Weights", netuid, uid, changed)
        last_update[uid] = draft.number
    draft.put(SUBTENSOR, "LastUpdate", netuid, last_update)
