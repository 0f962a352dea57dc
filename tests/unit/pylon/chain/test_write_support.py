"""Kinds of writes that a runtime supports."""

from typing import Any

import pytest

from pylon.chain.write_support import unsupported_writes
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import NetUid
from tests.support.chain.writing_sdk import CALLS, WritingSdk

NETUID = NetUid(1)
WEIGHTS = (
    "Tempo",
    "LastEpochBlock",
    "Uids",
    "CommitRevealWeightsEnabled",
    "WeightsSetRateLimit",
    "LastUpdate",
    "WeightsVersionKey",
    "ValidatorPermit",
    "MinAllowedWeights",
)
SEALED = ("RevealPeriodEpochs", "PendingEpochAt", "SubnetEpochIndex", "BlocksSinceLastStep")


def sdk_of(**known: Any) -> WritingSdk:
    storage = dict.fromkeys((*WEIGHTS, *SEALED))
    apis = {"get_next_epoch_start_block": lambda _: None}
    return WritingSdk(storage=storage | {"ValidatorPermit": []}, apis=apis, **known)


async def test_a_complete_runtime_supports_every_write() -> None:
    assert await unsupported_writes(sdk_of(), NETUID) == {}


@pytest.mark.parametrize(
    ("missing", "kinds"),
    [
        ("SubtensorModule.set_weights", ["weights"]),
        ("SubtensorModule.commit_timelocked_weights", ["timelocked weights"]),
        ("Commitments.set_commitment", ["commitments", "timelocked commitments"]),
        ("SubtensorModule.serve_axon_tls", ["certificates"]),
    ],
)
async def test_a_missing_call_is_named_with_its_kinds(missing: str, kinds: list[str]) -> None:
    found = await unsupported_writes(sdk_of(calls=CALLS - {missing}), NETUID)
    assert found == dict.fromkeys(kinds, f"The chain's runtime does not have {missing}.")


@pytest.mark.parametrize(
    ("missing", "kinds"),
    [
        ("MinAllowedWeights", ["weights"]),
        ("Tempo", ["weights", "timelocked weights"]),
        ("RevealPeriodEpochs", ["timelocked weights"]),
    ],
)
async def test_a_missing_item_is_named_with_its_kinds(missing: str, kinds: list[str]) -> None:
    sdk = sdk_of()
    del sdk.storage[missing]
    found = await unsupported_writes(sdk, NETUID)
    text = f"The chain's runtime does not have SubtensorModule.{missing}."
    assert found == dict.fromkeys(kinds, text)


async def test_an_unreachable_chain_supports_nothing_known() -> None:
    sdk = sdk_of()
    unavailable = FailureError(ErrorCode.CHAIN_UNAVAILABLE, "The chain is down.")

    def fail(*_: Any) -> Any:
        raise unavailable

    sdk.storage["Tempo"] = fail
    with pytest.raises(FailureError) as caught:
        await unsupported_writes(sdk, NETUID)
    assert caught.value is unavailable
