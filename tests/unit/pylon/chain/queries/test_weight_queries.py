"""The submission status of weights at the limits of an epoch."""

import pytest

from pylon.chain.queries.weight_queries import WeightsOf
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import Hotkey, MechanismId, NetUid
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

ONE = NetUid(1)
BLOCK = block_of(1_000)
THERE = {"NetworksAdded": True}


@pytest.mark.parametrize(
    ("updated_at", "registered_at", "submitted"),
    [(979, 1, False), (980, 1, True), (1_000, 1, True), (990, 990, False), (991, 990, True)],
)
@pytest.mark.parametrize("schedule", [{"LastEpochBlock": 980}, {"BlocksSinceLastStep": 20}])
async def test_weights_count_within_their_epoch_and_registration_does_not_count(
    schedule: dict[str, int], updated_at: int, registered_at: int, *, submitted: bool
) -> None:
    state = {
        "MechanismCountCurrent": 1,
        "Uids": 1,
        "LastUpdate": [0, updated_at],
        "BlockAtRegistration": registered_at,
    }
    sdk = ScriptedSdk(storage=THERE | schedule | state)
    weights = WeightsOf(ONE, MechanismId(0), Hotkey("5"))
    assert (await weights.execute(sdk, BLOCK)).weights_submitted is submitted


async def test_the_status_of_a_hotkey_that_is_not_registered_is_not_found() -> None:
    state = {"MechanismCountCurrent": 1, "Uids": None, "LastUpdate": [], "LastEpochBlock": 0}
    weights = WeightsOf(ONE, MechanismId(0), Hotkey("5"))
    with pytest.raises(FailureError, match="not registered") as caught:
        await weights.execute(ScriptedSdk(storage=THERE | state), BLOCK)
    assert caught.value.code is ErrorCode.NOT_FOUND
