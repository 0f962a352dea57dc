"""Writes on the runtime of finney's spec 424, which lacks items that the SDK's intents read."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import bittensor
import pytest
import pytest_asyncio

from pylon_client.v1 import ErrorCode, JobState, PylonBadGateway
from pylon_devnet import Devnet, DevnetOptions, simulated_chain
from pylon_devnet.runtime import runtime_metadata
from pylon_devnet.runtime.declaration import Declaration, load_declaration
from tests.support.chain.sdk_storage import st
from tests.support.product.job_deployment import Deployment, IdentityOf, ended, weights_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def devnet(
    sdk_home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Devnet]:
    """Run a chain like finney without the calls that a test names."""
    missing = getattr(request, "param", ())

    def without_calls(runtime: str) -> Declaration:
        declared = load_declaration(runtime)
        for pallet in declared.pallets:
            pallet.calls = [
                call for call in pallet.calls if f"{pallet.name}.{call.name}" not in missing
            ]
        return declared

    monkeypatch.setattr(runtime_metadata, "load_declaration", without_calls)
    monkeypatch.setattr(
        simulated_chain, "build_metadata", runtime_metadata.build_metadata.__wrapped__
    )  # which caches nothing
    options = DevnetOptions(
        port=0, block_time_s=0.25, active=False, tempo_blocks=2000, runtime="finney-424"
    )
    async with Devnet(options) as node:
        yield node


async def test_the_sdk_cannot_set_weights_on_this_runtime(devnet: Devnet) -> None:
    async with bittensor.Client(devnet.url) as client:
        with pytest.raises(ValueError, match="SubnetEpochConsensus"):
            await client.query(st.SubtensorModule.SubnetEpochConsensus, [1])


async def test_plain_and_timelocked_weights_are_set(
    deployment: Deployment,
    identity: IdentityOf,
) -> None:
    async with deployment.worker():
        sn2 = await identity("sn2")
        sn12 = await identity("sn12")
        opened = await sn2.put_weights(weights_of(deployment.devnet, 2, 3, 5))
        closed = await sn12.put_weights(weights_of(deployment.devnet, 12, 3))
        await sn2.set_commitment("ff")
        assert (await ended(sn2, opened.job_id)).state is JobState.CONFIRMED
        assert (await ended(sn12, closed.job_id)).state is JobState.COMMITTED
    assert deployment.applied() == 3


@pytest.mark.parametrize(
    "devnet",
    [
        (
            "SubtensorModule.set_weights",
            "SubtensorModule.set_mechanism_weights",
            "Commitments.set_commitment",
        )
    ],
    indirect=True,
    ids=["without-calls"],
)
async def test_a_write_without_a_runtime_call_is_rejected_and_names_the_call(
    deployment: Deployment,
    identity: IdentityOf,
) -> None:
    async with deployment.worker() as worker:
        sn2 = await identity("sn2")
        put = await sn2.put_weights(weights_of(deployment.devnet, 2, 3, 5))
        job = await ended(sn2, put.job_id)
        assert job.state is JobState.REJECTED
        assert job.last_error is not None
        assert job.last_error.code is ErrorCode.RUNTIME_UNSUPPORTED
        assert re.search(r"SubtensorModule\.set_\w*weights", job.last_error.detail)
        with pytest.raises(PylonBadGateway, match=r"Commitments\.set_commitment") as refused:
            await sn2.set_commitment("ff")
        assert refused.value.code == ErrorCode.RUNTIME_UNSUPPORTED
        await worker.logs("The chain's runtime does not support commitments")
    assert deployment.applied() == 0
