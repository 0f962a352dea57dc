"""The devnet in the shape of an older runtime, as the unmodified SDK sees it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import bittensor
import pytest
from bittensor import calls
from bittensor._transport.errors import StorageFunctionNotFound

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import hotkey
from tests.support.chain.dev_wallet import dev_wallet
from tests.support.chain.sdk_storage import st

SOON = {"signer": "hotkey", "wait_for_finalization": False}


@pytest.fixture
async def older() -> AsyncGenerator[Devnet]:
    options = DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=60, runtime="finney-424")
    async with Devnet(options) as node:
        yield node


@pytest.fixture
async def older_client(older: Devnet) -> AsyncGenerator[bittensor.Client]:
    async with bittensor.Client(older.url) as connected:
        yield connected


async def test_the_versions_are_reported(client: bittensor.Client, older: Devnet) -> None:
    assert await client.spec_version() == 475
    async with bittensor.Client(older.url) as connected:
        assert await connected.spec_version() == 424


async def test_finney_424_lacks_what_the_sdk_needs_for_weights(
    older_client: bittensor.Client,
) -> None:
    with pytest.raises(StorageFunctionNotFound, match="SubnetEpochConsensus"):
        await older_client.query(st.SubtensorModule.SubnetEpochConsensus, [1])


async def test_finney_424_accepts_composed_calls(
    older: Devnet, older_client: bittensor.Client
) -> None:
    call = calls.SubtensorModule.set_weights(netuid=1, dests=[70], weights=[65535], version_key=0)
    assert (await older_client.submit_call(call, dev_wallet("sn1"), **SOON)).success
    row = await older_client.query(st.SubtensorModule.Weights, [1, 0])
    assert [tuple(pair) for pair in row] == [(70, 65535)]
    assert len(await older_client.neurons.all(1)) == 256


async def test_errors_have_the_indexes_of_their_runtime(
    older: Devnet, older_client: bittensor.Client
) -> None:
    call = calls.SubtensorModule.commit_timelocked_weights(
        netuid=12, commit=b"\x01" * 8, reveal_round=2**40, commit_reveal_version=3
    )
    result = await older_client.submit_call(call, dev_wallet("sn12"), **SOON)
    assert result.error.name == "IncorrectCommitRevealVersion"
    failed: list[Any] = [
        one["attributes"]["dispatch_error"]["Module"]["error"]
        for one in older.events(older.applied_extrinsics()[-1].block_number)
        if one["event_id"] == "ExtrinsicFailed"
    ]
    assert older.applied_extrinsics()[-1].signer == hotkey(12, 0)
    assert failed == ["0x6e000000"]  # 110, and 111 on the newest runtime


def test_there_is_no_other_runtime() -> None:
    with pytest.raises(ValueError, match="newest, finney-424"):
        DevnetOptions(runtime="finney-1")


async def test_a_state_folder_belongs_to_one_runtime(tmp_path: Path) -> None:
    async with Devnet(DevnetOptions(port=0, state=tmp_path, runtime="finney-424")):
        pass
    with pytest.raises(ValueError, match="another chain"):
        Devnet(DevnetOptions(port=0, state=tmp_path))
