"""Calls are checked before they are sent."""

from typing import Any

import pytest

from pylon_client.testing import (
    FakePylon,
    operations,
    sample_neurons,
)
from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    Config,
    PylonClient,
    PylonMisconfigured,
)


@pytest.fixture
def pylon() -> FakePylon:
    pylon = FakePylon()
    pylon.answer(operations.LATEST_NEURONS, sample_neurons(count=2))
    return pylon


async def test_identity_calls_require_an_identity(pylon: FakePylon) -> None:
    nobody = {"identity_name": None, "identity_token": None}
    async with pylon.async_client(**nobody) as client:
        with pytest.raises(PylonMisconfigured, match="identity_name and identity_token"):
            await client.identity.get_latest_neurons()
    with (
        pylon.client(**nobody) as sync_client,
        pytest.raises(PylonMisconfigured, match="identity_name and identity_token"),
    ):
        sync_client.identity.get_latest_neurons()
    assert pylon.calls == []


def test_each_client_requires_its_own_configuration_class() -> None:
    address = "http://pylon.invalid"
    with pytest.raises(PylonMisconfigured, match=r"type Config, not AsyncConfig"):
        PylonClient(AsyncConfig(address=address))  # pyright: ignore[reportArgumentType]
    with pytest.raises(PylonMisconfigured, match=r"type AsyncConfig, not Config"):
        AsyncPylonClient(Config(address=address))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("netuid", [-1, 65_536, "1", 1.0, None])
def test_an_invalid_netuid_is_rejected_before_sending(pylon: FakePylon, netuid: Any) -> None:
    with pylon.client() as client, pytest.raises(ValueError, match=r"valid integer|equal to"):
        client.open_access.get_latest_neurons(netuid)
    assert pylon.calls == []


@pytest.mark.parametrize("block_number", [-1, 2**32, "1", True])
def test_an_invalid_block_number_is_rejected_before_sending(
    pylon: FakePylon, block_number: Any
) -> None:
    with pylon.client() as client, pytest.raises(ValueError, match="block_number"):
        client.identity.get_neurons(block_number)
    assert pylon.calls == []
