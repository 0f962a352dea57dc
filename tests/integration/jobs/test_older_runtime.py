"""Writes on the runtime of finney's spec 424, which lacks what the SDK's own intents read first."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import bittensor
import pytest
from bittensor._generated import storage as st

from pylon.devnet import Devnet, DevnetOptions
from pylon_client.contract.jobs import JobState
from pylon_client.contract.writes import PUT_WEIGHTS, SET_COMMITMENT
from tests.support.job_deployment import Asker, Deployment, weights_of


@pytest.fixture
async def devnet(sdk_home: Path) -> AsyncGenerator[Devnet]:
    options = DevnetOptions(
        port=0, block_time_s=0.25, active=False, tempo_blocks=2000, runtime="finney-424"
    )
    async with Devnet(options) as node:
        yield node


async def test_the_sdk_itself_cannot_set_weights_there(devnet: Devnet) -> None:
    async with bittensor.Client(devnet.url) as client:
        with pytest.raises(ValueError, match="SubnetEpochConsensus"):
            await client.query(st.SubtensorModule.SubnetEpochConsensus, [1])


async def test_weights_in_the_open_and_sealed_are_set(
    deployment: Deployment,
    asker: Any,
) -> None:
    async with deployment.worker():
        sn2: Asker = await asker("sn2")
        sn12: Asker = await asker("sn12")
        opened = await sn2.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 2, 3, 5))
        closed = await sn12.ask(PUT_WEIGHTS, weights_of(deployment.devnet, 12, 3))
        await sn2.ask(SET_COMMITMENT, {"commitment": "ff"})
        assert (await sn2.ended(opened["job_id"])).state is JobState.CONFIRMED
        assert (await sn12.ended(closed["job_id"])).state is JobState.COMMITTED
    assert deployment.applied() == 3
