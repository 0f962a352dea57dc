"""Reads over time: epochs, pruned states, a chain that is down."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pylon_client.contract import reads
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.operations import Operation, Params
from tests.support.product.eventually import comes_true
from tests.support.product.reads_deployment import ReadsDeployment, Via, include, reads_deployment

Query = dict[str, Any]
Cases = list[tuple[Operation[Params, BaseModel], Query]]

STATUS = reads.WEIGHTS_STATUS


@pytest.fixture
async def pylon(tmp_path: Path) -> AsyncGenerator[ReadsDeployment]:
    async with reads_deployment(tmp_path) as deployment:
        yield deployment


async def submitted(pylon: ReadsDeployment, identity: str, block: int) -> bool:
    answers = [
        await pylon.query(via, STATUS, identity=identity, mechanism_id=0, block_number=block)
        for via in Via
    ]
    assert answers[0].body == answers[1].body
    return answers[0].body["weights_submitted"]


async def test_weights_count_from_the_block_that_has_them_to_the_end_of_its_epoch(
    pylon: ReadsDeployment,
) -> None:
    devnet = pylon.devnet
    weights = {"netuid": 1, "dests": [64, 65], "weights": [1, 2], "version_key": 0}
    block = await include(devnet, "sn1", 1, "SubtensorModule", "set_weights", weights)
    future = 1 << 40
    timelocked = {
        "netuid": 12,
        "commit": b"\xff" * 80,
        "reveal_round": future,
        "commit_reveal_version": 4,
    }
    call = ("SubtensorModule", "commit_timelocked_weights", timelocked)
    committed_at = await include(devnet, "sn12", 0, *call)
    epoch = devnet.options.tempo_blocks
    await devnet.advance(epoch + 2 - devnet.best_number)
    # Two epochs run in a block: that of subnet 12, the third that is due, is deferred to the next.
    for identity, made_in, next_epoch in (
        ("sn1", block, epoch),
        ("sn12", committed_at, epoch + 1),
    ):
        assert not await submitted(pylon, identity, made_in - 1)
        assert await submitted(pylon, identity, made_in)
        assert await submitted(pylon, identity, next_epoch - 1)
        assert not await submitted(pylon, identity, next_epoch)
    # At the first block of an epoch the weights that it includes are its own.
    devnet.set_hyperparameter(1, "WeightsSetRateLimit", 0)
    await devnet.advance()
    devnet.trigger_epoch(1)
    first = await include(devnet, "sn1", 2, "SubtensorModule", "set_weights", weights)
    assert devnet.chain.state_at_hash(None).get("SubtensorModule", "LastEpochBlock", 1) == first
    assert await submitted(pylon, "sn1", first)


async def test_a_pruned_state_without_an_archive_says_so(pylon: ReadsDeployment) -> None:
    await pylon.devnet.advance(5)
    pylon.devnet.prune(2)
    at: Query = {"block_number": 1}
    cases: Cases = [
        (reads.NEURONS_AT, {"netuid": 2}),
        (reads.VALIDATORS_AT, {"netuid": 2}),
        (reads.HYPERPARAMETERS_AT, {"netuid": 2}),
        (reads.PRICE_AT, {"netuid": 2}),
        (reads.PRICES_AT, {}),
        (reads.WEIGHTS_STATUS, {"identity": "sn1", "mechanism_id": 0}),
    ]
    for via in Via:
        for operation, about in cases:
            got = await pylon.query(via, operation, **about, **at)
            assert (got.status, got.body["code"]) == (502, ErrorCode.ARCHIVE_REQUIRED), operation
            assert "PYLON_BITTENSOR_ARCHIVE_NETWORK" in got.body["detail"]


async def test_while_the_chain_is_down_only_published_values_are_returned(
    pylon: ReadsDeployment,
) -> None:
    async def is_published() -> bool:
        got = await pylon.query(Via.NATS, reads.RECENT_NEURONS, netuid=1)
        return got.status == 200 and got.block_number == pylon.devnet.best_number

    await comes_true(is_published)
    pylon.devnet.refuse_connections(300)
    pylon.devnet.drop_connections()
    for via in Via:
        for operation in (reads.RECENT_NEURONS, reads.LATEST_NEURONS, reads.LATEST_VALIDATORS):
            assert (await pylon.query(via, operation, netuid=1)).status == 200
        of_subnet: Query = {"netuid": 0}  # which is not tracked
        at: Query = {"block_number": 1}
        of_hotkey: Query = {
            "netuid": 0,
            "hotkey": "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
        }
        own: Query = {"identity": "sn12"}
        cases: Cases = [
            (reads.LATEST_NEURONS, of_subnet),
            (reads.NEURONS_AT, of_subnet | at),
            (reads.LATEST_VALIDATORS, of_subnet),
            (reads.VALIDATORS_AT, of_subnet | at),
            (reads.COMMITMENTS, of_subnet),
            (reads.COMMITMENT, of_hotkey),
            (reads.OWN_COMMITMENT, own),
            (reads.TYPED_COMMITMENTS, of_subnet),
            (reads.TYPED_COMMITMENT, of_hotkey),
            (reads.OWN_TYPED_COMMITMENT, own),
            (reads.REVEALED_COMMITMENTS, of_subnet),
            (reads.REVEALED_COMMITMENTS_OF, of_hotkey),
            (reads.OWN_REVEALED_COMMITMENTS, own),
            (reads.CERTIFICATES, of_subnet),
            (reads.CERTIFICATE, of_hotkey),
            (reads.OWN_CERTIFICATE, own),
            (reads.LATEST_HYPERPARAMETERS, of_subnet),
            (reads.HYPERPARAMETERS_AT, of_subnet | at),
            (reads.LATEST_PRICE, of_subnet),
            (reads.PRICE_AT, of_subnet | at),
            (reads.LATEST_PRICES, {}),
            (reads.PRICES_AT, at),
            (reads.EVM_ASSOCIATIONS, of_subnet),
            (reads.EXTRINSIC, {**at, "extrinsic_index": 0}),
            (reads.LAST_DRAND_ROUND, {}),
            (reads.WEIGHTS_STATUS, own | at | {"mechanism_id": 0}),
        ]
        for operation, about in cases:
            got = await pylon.query(via, operation, **about)
            assert (got.status, got.body["code"]) == (502, ErrorCode.CHAIN_UNAVAILABLE), operation
