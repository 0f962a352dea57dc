"""Hyperparameters of different runtimes."""

import pytest

from pylon.chain.queries.hyperparameter_queries import Hyperparameters
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import NetUid
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

ONE = NetUid(1)
BLOCK = block_of(1_000)
THERE = {"NetworksAdded": True}


async def test_hyperparameters_of_older_runtimes_come_from_their_struct() -> None:
    struct = {
        "rho": 10,
        "liquid_alpha_enabled": False,
        "alpha_sigmoid_steepness": {"bits": 3 << 31},
        "odd": {"bits": 1},
    }
    sdk = ScriptedSdk(storage=THERE, apis={"get_subnet_hyperparams_v2": lambda _: struct})
    found = await Hyperparameters(ONE).execute(sdk, BLOCK)
    assert found.hyperparameters == {
        "rho": 10,
        "liquid_alpha_enabled": False,
        "alpha_sigmoid_steepness": 1.5,
    }
    assert [one.item for one in found.skipped] == ["odd"]


async def test_a_hyperparameter_of_an_unknown_kind_is_skipped() -> None:
    entries = [
        {"name": "rho", "value": {"U16": 10}},
        {"name": "new", "value": {"Matrix": [[1]]}},
    ]
    sdk = ScriptedSdk(storage=THERE, apis={"get_subnet_hyperparams_v3": lambda _: entries})
    found = await Hyperparameters(ONE).execute(sdk, BLOCK)
    assert found.hyperparameters == {"rho": 10}
    assert [one.item for one in found.skipped] == ["new"]


async def test_a_runtime_without_hyperparameters_is_reported() -> None:
    with pytest.raises(FailureError) as caught:
        await Hyperparameters(ONE).execute(ScriptedSdk(storage=THERE), BLOCK)
    assert caught.value.code is ErrorCode.CHAIN_REJECTED
