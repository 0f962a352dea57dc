"""A simplified simulation of the end of a subnet's epoch.

As on the chain, at one mechanism:

1. Permits go to the `MaxAllowedValidators` neurons with the most stake weight, at least
   `StakeThreshold`.
2. A miner's consensus is the highest weight supported by validators with at least `Kappa` of the
   stake of all active validators; higher weights are clipped.
3. Incentive is a miner's share of the clipped, stake-weighted weights.
4. A validator's bonds are its share of these per miner; its dividends are its bonds times the
   incentives; its trust is the sum of its clipped weights.
5. Half of the emission since the last epoch goes to miners by incentive, half to validators by
   dividends; both are added to their stake.

Not simulated: moving averages of bonds, liquid alpha, child keys, the owner's cut, root dividends
and deregistration. Therefore more weight from more stake never reduces incentive, but the values
differ from the chain's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pylon_devnet.chain_state import Draft
from pylon_devnet.subnet_state import (
    ROOT_NETUID,
    SUBTENSOR,
    U16_MAX,
    alpha_stake,
    hotkeys,
    is_epoch_due,
    netuids,
    stake_weight,
    uid_vector,
    value,
)

ALPHA_PER_BLOCK_RAO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Result of an epoch, by uid; all lists except consensus and trust sum to 1 or 0."""

    incentive: list[float]
    consensus: list[float]
    dividends: list[float]
    validator_trust: list[float]
    bonds: dict[int, list[tuple[int, float]]]


def run_due_epochs(
    draft: Draft, reveal: Callable[[Draft, int], list[tuple[str, str, Any]]]
) -> list[tuple[str, str, Any]]:
    """Run the epochs that are due at the block being built, and count the block for the rest.

    As on the chain, at most `MaxEpochsPerBlock` epochs run in a block; other due epochs are
    deferred to the next block.

    Args:
        draft: state of the block being built.
        reveal: reveals the weights of a subnet whose epoch is not deferred; returns its events.

    Returns:
        The events, as (pallet, event, payload).
    """
    subnets = [netuid for netuid in netuids(draft) if netuid != ROOT_NETUID]
    due = [netuid for netuid in subnets if is_epoch_due(draft, netuid, draft.number)]
    limit = value(draft, "MaxEpochsPerBlock")
    running, deferred = due[:limit], due[limit:]
    events: list[tuple[str, str, Any]] = []
    for netuid in subnets:
        if netuid not in deferred:
            events += reveal(draft, netuid)
    for netuid in subnets:
        if netuid in running:
            _end_epoch(draft, netuid)
            continue
        draft.change(SUBTENSOR, "BlocksSinceLastStep", netuid, by=lambda blocks: blocks + 1)
        if netuid in deferred:
            later = draft.number + 1
            draft.put(SUBTENSOR, "PendingEpochAt", netuid, later)
            payload = {"netuid": netuid, "from_block": draft.number, "to_block": later}
            events.append((SUBTENSOR, "EpochDeferred", payload))
    return events


def _end_epoch(draft: Draft, netuid: int) -> None:
    run_epoch(draft, netuid)
    draft.put(SUBTENSOR, "LastEpochBlock", netuid, draft.number)
    draft.put(SUBTENSOR, "LastMechansimStepBlock", netuid, draft.number)
    draft.put(SUBTENSOR, "BlocksSinceLastStep", netuid, 0)
    draft.put(SUBTENSOR, "PendingEpochAt", netuid, 0)
    draft.change(SUBTENSOR, "SubnetEpochIndex", netuid, by=lambda index: index + 1)


def restart_epoch_schedule(draft: Draft, netuid: int) -> None:
    """Start a subnet's epoch at this block, as after a change of its tempo."""
    draft.put(SUBTENSOR, "LastEpochBlock", netuid, draft.number)


def run_epoch(draft: Draft, netuid: int) -> None:
    """Compute permits, consensus, incentives, dividends and stake from a subnet's weights."""
    keys = hotkeys(draft, netuid)
    stakes = [stake_weight(draft, netuid, key) for key in keys]
    permits = _permits(draft, netuid, stakes)
    last_update = uid_vector(draft, "LastUpdate", netuid, len(keys))
    cutoff = int(value(draft, "ActivityCutoff", netuid))
    active = [updated + cutoff >= draft.number for updated in last_update]
    rows = {
        uid: value(draft, "Weights", netuid, uid)
        for uid, permitted in enumerate(permits)
        if permitted and active[uid]
    }
    kappa = int(value(draft, "Kappa", netuid)) / U16_MAX
    outcome = compute_epoch(stakes, rows, kappa)
    emission = _distribute_emission(draft, netuid, keys, outcome)
    for item, values in {
        "ValidatorPermit": permits,
        "Active": active,
        "Incentive": _as_u16(outcome.incentive),
        "Consensus": _as_u16(outcome.consensus),
        "Dividends": _as_u16(outcome.dividends),
        "ValidatorTrust": _as_u16(outcome.validator_trust),
        "Emission": emission,
    }.items():
        draft.put(SUBTENSOR, item, netuid, values)
    for uid, row in outcome.bonds.items():
        bonds = [(miner, int(share * U16_MAX)) for miner, share in row]
        draft.put(SUBTENSOR, "Bonds", netuid, uid, bonds)


def compute_epoch(
    stakes: Sequence[int], rows: dict[int, list[tuple[int, int]]], kappa: float
) -> EpochResult:
    """Compute consensus, incentive and dividends of one epoch.

    Args:
        stakes: stake weight by uid.
        rows: (uid, weight) pairs by uid of the active validator that set them.
        kappa: share of stake that consensus requires, from 0 to 1.
    """
    count = len(stakes)
    total = sum(stakes[uid] for uid, row in rows.items() if row) or 1
    votes_by_miner: dict[int, list[tuple[float, float, int]]] = {}
    for uid, row in rows.items():
        row_sum = sum(weight for _, weight in row) or 1
        for miner, weight in row:
            if miner < count:
                votes_by_miner.setdefault(miner, []).append(
                    (weight / row_sum, stakes[uid] / total, uid)
                )
    consensus, ranks = [0.0] * count, [0.0] * count
    trust, dividends = [0.0] * count, [0.0] * count
    clipped: dict[int, list[tuple[int, float]]] = {}
    for miner, votes in votes_by_miner.items():
        consensus[miner] = _consensus(votes, kappa)
        clipped_votes = [
            (uid, min(weight, consensus[miner]), stake) for weight, stake, uid in votes
        ]
        ranks[miner] = sum(weight * stake for _, weight, stake in clipped_votes)
        clipped[miner] = [(uid, weight * stake) for uid, weight, stake in clipped_votes]
        for uid, weight, _ in clipped_votes:
            trust[uid] += weight
    incentive = _normalize(ranks)
    bonds: dict[int, list[tuple[int, float]]] = {}
    for miner in sorted(clipped):
        for uid, part in clipped[miner]:
            share = part / ranks[miner] if ranks[miner] else 0.0
            dividends[uid] += share * incentive[miner]
            bonds.setdefault(uid, []).append((miner, share))
    return EpochResult(incentive, consensus, _normalize(dividends), trust, bonds)


def _permits(draft: Draft, netuid: int, stakes: list[int]) -> list[bool]:
    max_permits = int(value(draft, "MaxAllowedValidators", netuid))
    min_stake = int(value(draft, "StakeThreshold"))
    ranked = sorted(range(len(stakes)), key=lambda uid: (-stakes[uid], uid))[:max_permits]
    chosen = {uid for uid in ranked if stakes[uid] >= min_stake}
    return [uid in chosen for uid in range(len(stakes))]


def _distribute_emission(
    draft: Draft, netuid: int, keys: list[str], outcome: EpochResult
) -> list[int]:
    blocks = draft.number - int(value(draft, "LastEpochBlock", netuid))
    half = blocks * ALPHA_PER_BLOCK_RAO // 2
    emission: list[int] = []
    for uid, key in enumerate(keys):
        dividend = int(outcome.dividends[uid] * half)
        paid = dividend + int(outcome.incentive[uid] * half)
        emission.append(paid)
        if paid:
            staked = alpha_stake(draft, netuid, key)
            draft.put(SUBTENSOR, "TotalHotkeyAlpha", key, netuid, staked + paid)
        if dividend:
            draft.put(SUBTENSOR, "AlphaDividendsPerSubnet", netuid, key, dividend)
    draft.put(SUBTENSOR, "PendingServerEmission", netuid, 0)
    draft.put(SUBTENSOR, "PendingValidatorEmission", netuid, 0)
    return emission


def _consensus(votes: list[tuple[float, float, int]], kappa: float) -> float:
    """Return the highest weight supported by at least `kappa` of the stake."""
    supporting_stake = 0.0
    for weight, stake, _ in sorted(votes, reverse=True):
        supporting_stake += stake
        if supporting_stake >= kappa:
            return weight
    return 0.0


def _normalize(values: list[float]) -> list[float]:
    total = sum(values)
    return [part / total for part in values] if total else values


def _as_u16(values: list[float]) -> list[int]:
    return [min(U16_MAX, int(part * U16_MAX)) for part in values]
