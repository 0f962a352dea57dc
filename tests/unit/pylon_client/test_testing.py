"""The fake Pylon for tests of programs that use the client."""

from typing import Any

import pytest

from pylon_client.contract.operations import Scope
from pylon_client.testing import (
    FakePylon,
    operations,
    sample_block_info,
    sample_neuron,
    sample_neurons,
)
from pylon_client.transport import OperationCall
from pylon_client.v1 import (
    BlockNumber,
    ErrorCode,
    NetUid,
    PylonNotFound,
    PylonUnavailable,
)


@pytest.fixture
def pylon() -> FakePylon:
    pylon = FakePylon()
    pylon.answer(operations.LATEST_NEURONS, sample_neurons(count=2))
    return pylon


async def test_failures_come_before_replies_and_are_retried(pylon: FakePylon) -> None:
    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=2)
    async with pylon.async_client() as client:
        assert len((await client.open_access.get_latest_neurons(NetUid(5))).neurons) == 2
        assert [(call.scope, call.netuid) for call in pylon.calls] == [(Scope.OPEN, 5)] * 3
        pylon.fail(operations.LATEST_NEURONS, PylonUnavailable(detail="Gone."), times=None)
        for _ in range(2):
            with pytest.raises(PylonUnavailable, match=r"Gone\."):
                await client.open_access.get_latest_neurons(NetUid(5))
        assert len(pylon.calls) == 5


def test_replies_may_depend_on_the_call_and_missing_ones_raise(pylon: FakePylon) -> None:
    def answer(call: OperationCall[Any]) -> Any:
        if call.netuid == 9:
            raise PylonNotFound(detail="No such subnet.")
        return sample_neurons(count=call.netuid or 0)

    pylon.answer(operations.LATEST_NEURONS, answer)
    pylon.answer(operations.LATEST_BLOCK, sample_block_info(7))
    with pylon.client() as client:
        assert client.open_access.get_latest_block_info().timestamp == 1_700_000_084
        assert len(client.open_access.get_latest_neurons(NetUid(4)).neurons) == 4
        with pytest.raises(PylonNotFound, match="No such subnet"):
            client.open_access.get_latest_neurons(NetUid(9))
        with pytest.raises(LookupError, match=r"neurons\.at"):
            client.open_access.get_neurons(NetUid(1), BlockNumber(2))
    with pytest.raises(TypeError, match=r"neurons\.latest replies SubnetNeurons, not BlockInfo"):
        pylon.answer(operations.LATEST_NEURONS, sample_block_info())
    assert sample_neuron(3, rank=0.25).rank == 0.25
