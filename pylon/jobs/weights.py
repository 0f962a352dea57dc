"""What a weights job does: hotkeys become uids when it is sent, and it ends with its epoch."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pylon.chain.writes import ChainWrites, WeightsCall, WeightsFacts
from pylon.jobs import windows
from pylon.jobs.retries import Retries
from pylon.jobs.work import Over, Plan, Ready, Updates, Wait, expired, unreadable
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState, LeftOut
from pylon_client.contract.types import BlockNumber, Hotkey, MechanismId

COMMIT_REVEAL_VERSION: Final = 4
"""The protocol by which the SDK seals weights; a chain that asks for another is not guessed at."""
LIMIT_WAIT_BLOCKS: Final = 10
"""How long to wait where the chain has a limit, such as on sealed weights that are not revealed."""
NOT_REGISTERED: Final = "not registered on the subnet"

_WEIGHTS: Final = TypeAdapter(dict[Hotkey, float])


class UnknownHotkeys(StrEnum):
    """What to do about weights for hotkeys that are not registered when they are sent."""

    DROP = "drop"
    FAIL = "fail"


class WeightsWork:
    """Setting weights.

    Args:
        chain: where they are set.
        retries: how often a job is tried.
        unknown_hotkeys: what becomes of weights for hotkeys that are not registered.
    """

    def __init__(
        self, chain: ChainWrites, retries: Retries, unknown_hotkeys: UnknownHotkeys
    ) -> None:
        self._chain = chain
        self._unknown_hotkeys = unknown_hotkeys
        self.retries = retries

    async def plan(self, job: Job, request: Updates, own: Hotkey) -> Plan:
        """What is to be done about a job, by the chain's newest block."""
        weights = _weights(request)
        if weights is None:
            return unreadable()
        facts = await self._facts(job, own, list(weights))
        accepted_block = facts.block if job.accepted_block is None else job.accepted_block
        left_out = [
            LeftOut(hotkey=hotkey, reason=NOT_REGISTERED)
            for hotkey in weights
            if hotkey not in facts.uids
        ]
        updates: dict[str, Any] = {
            "accepted_block": accepted_block,
            "deadline_block": facts.epoch.next_block,
            "left_out": left_out,
        }
        if windows.is_over(facts.epoch, accepted_block):
            updates["deadline_block"] = facts.epoch.last_block
            return Over(JobState.EXPIRED, expired(job, updates["deadline_block"]), updates)
        if (refused := self._refused(facts, left_out, weights)) is not None:
            return Over(JobState.REJECTED, refused.failure, updates)
        allowed_from = windows.allowed_from(facts.last_update_block, facts.rate_limit_blocks)
        if facts.block < allowed_from:
            failure = FailureError(
                ErrorCode.RATE_LIMITED,
                f"Weights were set at block {facts.last_update_block}; subnet {job.netuid} takes "
                f"them every {facts.rate_limit_blocks} blocks.",
                retry_at_block=allowed_from,
            ).failure
            return Wait(allowed_from, failure, updates)
        if facts.commit_reveal_version is not None:
            window = windows.reveal_window(facts.epoch, facts.reveal_period_epochs)
            if window is not None:
                updates["window_open_block"] = window.open_block
                updates["window_close_block"] = window.close_block
        by_uid = {facts.uids[hotkey]: weights[hotkey] for hotkey in weights if hotkey in facts.uids}
        call = WeightsCall(job.netuid, _mechanism(job), by_uid, facts.version_key)
        return Ready(call, updates)

    async def wait_until(self, job: Job, own: Hotkey) -> BlockNumber:
        """The block from which weights are taken again; a later one for limits of other kinds."""
        facts = await self._facts(job, own, [])
        allowed_from = windows.allowed_from(facts.last_update_block, facts.rate_limit_blocks)
        if allowed_from > facts.block:
            return allowed_from
        return BlockNumber(facts.block + LIMIT_WAIT_BLOCKS)

    async def _facts(self, job: Job, own: Hotkey, weighed: list[Hotkey]) -> WeightsFacts:
        return await self._chain.weights_facts(job.netuid, _mechanism(job), own, weighed)

    def _refused(
        self, facts: WeightsFacts, left_out: list[LeftOut], weights: Mapping[Hotkey, float]
    ) -> FailureError | None:
        if facts.own_uid is None:
            return FailureError(
                ErrorCode.NOT_REGISTERED, "The identity's hotkey is not registered on its subnet."
            )
        version = facts.commit_reveal_version
        if version is not None and version != COMMIT_REVEAL_VERSION:
            return FailureError(
                ErrorCode.CHAIN_REJECTED,
                f"The chain seals weights by version {version} of its protocol; Pylon knows "
                f"{COMMIT_REVEAL_VERSION}.",
            )
        if left_out and self._unknown_hotkeys is UnknownHotkeys.FAIL:
            return FailureError(
                ErrorCode.NOT_REGISTERED,
                f"{len(left_out)} of {len(weights)} weighed hotkeys are not registered.",
            )
        if not any(weights[hotkey] > 0 for hotkey in facts.uids):
            return FailureError(
                ErrorCode.NOT_REGISTERED, "No hotkey with a weight above 0 is registered."
            )
        return None


def _weights(request: Updates) -> dict[Hotkey, float] | None:
    try:
        return _WEIGHTS.validate_python(request.get("weights"))
    except ValidationError:
        return None


def _mechanism(job: Job) -> MechanismId:
    return MechanismId(0) if job.mechanism is None else job.mechanism
