"""Plan weights jobs: hotkeys are mapped to uids at submission, and a job ends with its epoch."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pylon.chain.weight_normalization import NormalizedWeights, normalize_weights
from pylon.chain.write_port import ChainWrites, WeightsCall, WeightsState
from pylon.jobs import epochs
from pylon.jobs.deadlines import DeadlineCalculator
from pylon.jobs.job_planner import (
    Defer,
    Finish,
    Plan,
    Submit,
    Updates,
    expiry_failure,
    unreadable_request,
)
from pylon.jobs.retry_policy import RATE_LIMIT_RETRY_BLOCKS, RetryPolicy
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import Job, JobState, LeftOut
from pylon_client.contract.types import BlockNumber, Hotkey, MechanismId

COMMIT_REVEAL_VERSION: Final = 4
"""The supported version of the commit-reveal protocol; jobs fail on a chain with another one."""
MAX_UNREVEALED_COMMITS: Final = 10
"""Maximum unrevealed commits per hotkey and epoch (`SubtensorModule` refuses more with
TooManyUnrevealedCommits)."""
NOT_REGISTERED: Final = "not registered on the subnet"
ROUNDED_TO_ZERO: Final = "its weight is 0 in units of 1/65535 of the largest"

_WEIGHTS: Final = TypeAdapter(dict[Hotkey, float])


class WeightsPlanner:
    """Plans weights jobs.

    Args:
        chain: the chain to write to.
        retry_policy: number of attempts and delay between them.
        unknown_hotkeys: how weights of unregistered hotkeys are handled.
    """

    waits_for_permission = True

    def __init__(
        self, chain: ChainWrites, retry_policy: RetryPolicy, unknown_hotkeys: UnknownHotkeyPolicy
    ) -> None:
        self._chain = chain
        self._deadlines = DeadlineCalculator(chain)
        self._unknown_hotkeys = unknown_hotkeys
        self.retry_policy = retry_policy

    async def plan(self, job: Job, request: Updates, hotkey: Hotkey) -> Plan:
        """Plan a job by the state of the newest block."""
        weights = _weights(request)
        if weights is None:
            return unreadable_request()
        state = await self._read_state(job, hotkey, list(weights))
        deadline = await self._deadlines.calculate(job, state.epoch)
        if deadline.has_passed:
            return Finish(
                JobState.EXPIRED, expiry_failure(job, deadline.deadline_block), deadline.updates
            )
        return _WeightsPlan(job, state, weights, self._unknown_hotkeys, deadline.updates).plan()

    async def next_allowed_block(self, job: Job, hotkey: Hotkey) -> BlockNumber:
        """Return the first block in which the chain may accept weights again."""
        state = await self._read_state(job, hotkey, [])
        allowed_from = epochs.next_allowed_block(state.last_update_block, state.rate_limit_blocks)
        if allowed_from > state.block + 1:
            return allowed_from
        return BlockNumber(state.block + RATE_LIMIT_RETRY_BLOCKS)

    async def _read_state(
        self, job: Job, hotkey: Hotkey, weighted_hotkeys: list[Hotkey]
    ) -> WeightsState:
        return await self._chain.weights_state(
            job.netuid, _mechanism(job), hotkey, weighted_hotkeys
        )


class _WeightsPlan:
    """Plans one job from the chain state.

    A problem that may disappear during the epoch defers the job; any other problem rejects it.
    """

    def __init__(
        self,
        job: Job,
        state: WeightsState,
        weights: Mapping[Hotkey, float],
        unknown_hotkeys: UnknownHotkeyPolicy,
        updates: dict[str, Any],
    ) -> None:
        self._job = job
        self._state = state
        self._weights = weights
        self._unknown_hotkeys = unknown_hotkeys
        self._unregistered = [hotkey for hotkey in weights if hotkey not in state.uids]
        self._updates = updates | {
            "left_out": [
                LeftOut(hotkey=hotkey, reason=NOT_REGISTERED) for hotkey in self._unregistered
            ]
        }

    def plan(self) -> Plan:
        """Return the plan of the job."""
        state = self._state
        if (failure := self._permanent_failure()) is not None:
            return Finish(JobState.REJECTED, failure, self._updates)
        if state.own_uid is None:
            return self._defer(
                ErrorCode.NOT_REGISTERED, "The identity's hotkey is not registered on its subnet."
            )
        by_uid = {
            state.uids[hotkey]: weight
            for hotkey, weight in self._weights.items()
            if hotkey in state.uids
        }
        if not any(by_uid.values()):
            return self._defer(
                ErrorCode.NOT_REGISTERED, "No hotkey with a weight above 0 is registered."
            )
        normalized = normalize_weights(
            by_uid, own_uid=state.own_uid, max_weight_limit=state.max_weight_limit
        )
        self._record_left_out(normalized)
        weighs_itself_alone = list(normalized.weights) == [state.own_uid]
        if len(normalized.weights) < state.min_allowed_weights and not weighs_itself_alone:
            return self._too_few(normalized)
        needs_permit = state.has_null_consensus or not (weighs_itself_alone or state.owns_subnet)
        if needs_permit and not state.has_permit:
            return self._defer(
                ErrorCode.NO_VALIDATOR_PERMIT,
                "The hotkey has no validator permit on the subnet; the chain assigns permits at "
                "the end of an epoch.",
            )
        return self._rate_limit_deferral() or self._submit(normalized)

    def _permanent_failure(self) -> Failure | None:
        commit_reveal = self._state.commit_reveal
        if commit_reveal is not None and commit_reveal.version != COMMIT_REVEAL_VERSION:
            return FailureError(
                ErrorCode.CHAIN_REJECTED,
                f"The chain uses commit-reveal version {commit_reveal.version}; Pylon supports "
                f"version {COMMIT_REVEAL_VERSION}.",
            ).failure
        if self._unregistered and self._unknown_hotkeys is UnknownHotkeyPolicy.FAIL:
            return FailureError(
                ErrorCode.NOT_REGISTERED,
                f"{len(self._unregistered)} of {len(self._weights)} hotkeys with weights are not "
                "registered.",
            ).failure
        return None

    def _record_left_out(self, normalized: NormalizedWeights) -> None:
        hotkeys = {uid: hotkey for hotkey, uid in self._state.uids.items()}
        self._updates["left_out"] += [
            LeftOut(hotkey=hotkeys[uid], reason=ROUNDED_TO_ZERO)
            for uid in sorted(normalized.rounded_to_zero)
        ]

    def _too_few(self, normalized: NormalizedWeights) -> Plan:
        min_weights = self._state.min_allowed_weights
        failure = FailureError(
            ErrorCode.CHAIN_REJECTED,
            f"Subnet {self._job.netuid} requires at least {min_weights} weights above 0; "
            f"{len(normalized.weights)} remain of {len(self._weights)}.",
        ).failure
        missing = sum(1 for hotkey in self._unregistered if self._weights[hotkey] > 0)
        if len(normalized.weights) + missing >= min_weights:
            # The unregistered hotkeys may still be registered.
            return Defer(self._state.block, None, failure, self._updates)
        return Finish(JobState.REJECTED, failure, self._updates)

    def _rate_limit_deferral(self) -> Plan | None:
        """Return the deferral that the chain's rate limits require, or None."""
        state = self._state
        allowed_from = epochs.next_allowed_block(state.last_update_block, state.rate_limit_blocks)
        # An extrinsic that is submitted now is included in the next block.
        if state.block + 1 < allowed_from:
            detail = (
                f"Weights were set at block {state.last_update_block}; subnet {self._job.netuid} "
                f"accepts them every {state.rate_limit_blocks} blocks."
            )
            return self._defer_rate_limited(allowed_from, detail)
        next_epoch = state.epoch.next_start_block
        is_full = state.unrevealed_commits >= MAX_UNREVEALED_COMMITS
        if is_full and next_epoch is not None and state.block + 1 < next_epoch:
            detail = (
                f"The chain holds {state.unrevealed_commits} unrevealed weights of this epoch, and "
                "accepts the next ones after it (TooManyUnrevealedCommits)."
            )
            return self._defer_rate_limited(next_epoch, detail)
        return self._refusal_deferral()

    def _refusal_deferral(self) -> Defer | None:
        """Return the deferral after a refusal whose reason the chain state does not show, or None.

        A later `retry_at_block` comes from a limit that is checked before, and may have changed.
        """
        block, until_block = self._state.block, self._job.retry_at_block
        failure = self._job.last_error
        if until_block is None or failure is None:
            return None
        if not block + 1 < until_block <= block + RATE_LIMIT_RETRY_BLOCKS:
            return None
        return Defer(block, until_block, failure, self._updates)

    def _defer_rate_limited(self, until_block: BlockNumber, detail: str) -> Defer:
        failure = FailureError(ErrorCode.RATE_LIMITED, detail, retry_at_block=until_block).failure
        return Defer(self._state.block, until_block, failure, self._updates)

    def _defer(self, code: ErrorCode, detail: str) -> Defer:
        return Defer(self._state.block, None, FailureError(code, detail).failure, self._updates)

    def _submit(self, normalized: NormalizedWeights) -> Submit:
        state, updates = self._state, self._updates
        if state.commit_reveal is not None:
            window = epochs.reveal_window(state.epoch, state.commit_reveal.reveal_period_epochs)
            if window is not None:
                updates["window_open_block"] = window.open_block
                updates["window_close_block"] = window.close_block
        call = WeightsCall(
            self._job.netuid,
            _mechanism(self._job),
            normalized.weights,
            state.version_key,
            state.commit_reveal,
        )
        return Submit(call, updates)


def _weights(request: Updates) -> dict[Hotkey, float] | None:
    try:
        return _WEIGHTS.validate_python(request.get("weights"))
    except ValidationError:
        return None


def _mechanism(job: Job) -> MechanismId:
    return MechanismId(0) if job.mechanism is None else job.mechanism
