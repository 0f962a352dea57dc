"""turbobt, another SDK with its own codec, against the devnet."""

import pytest

from pylon.devnet import Devnet, DevnetOptions
from pylon.devnet.population import hotkey
from tests.support.dev_wallet import dev_wallet

turbobt = pytest.importorskip("turbobt", reason="turbobt is not installed")
pytestmark = pytest.mark.filterwarnings("default")


async def test_reads_weights_and_commitments() -> None:
    async with Devnet(DevnetOptions(port=0, block_time_s=0.1)) as devnet:
        async with turbobt.Bittensor(devnet.url, wallet=dev_wallet("sn1")) as client:
            subnet = client.subnet(1)
            neurons = await subnet.list_neurons()
            assert [one.hotkey for one in neurons] == [hotkey(1, uid) for uid in range(256)]
            assert len((await subnet.get_state())["hotkeys"]) == 256
            assert (await subnet.get_hyperparameters())["tempo"] == 360
            await subnet.weights.set({70: 0.5, 80: 0.5})
            assert (await subnet.weights.fetch())[0] == {70: 1.0, 80: 1.0}
            await subnet.commitments.set(b"hello \xff")
            commitment = await subnet.commitments.get(hotkey(1, 0))
            assert commitment["data"] == b"hello \xff"
        async with turbobt.Bittensor(devnet.url, wallet=dev_wallet("sn12")) as client:
            weights = client.subnet(12).weights
            reveal_round = await weights.commit({20: 0.5, 30: 0.5})
            (pending,) = (await weights.fetch_pending()).values()
            assert set(pending) == {hotkey(12, 0)}
            assert pending[hotkey(12, 0)].reveal_round == reveal_round
        assert [one.error for one in devnet.applied_extrinsics()] == [None, None, None]
