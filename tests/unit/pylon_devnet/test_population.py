import pytest

from pylon_devnet.controls import Controls
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.subnet_state import SUBTENSOR, hotkeys


@pytest.mark.parametrize("neurons", [16, 40, 256])
def test_every_subnet_can_be_made_as_large_as_another(neurons: int) -> None:
    node = Controls(DevnetOptions(neurons=neurons, active=False, extra_subnets=1))
    state = node.chain.state_at_hash(None)
    for netuid in (1, 2, 12, 101):
        assert len(set(hotkeys(state, netuid))) == neurons
        permits = state.get(SUBTENSOR, "ValidatorPermit", netuid)
        # Neurons with too little stake get no permit.
        assert neurons // 8 < sum(permits) <= neurons // 4
        assert any(state.get(SUBTENSOR, "Incentive", netuid)), "weights came to something"
    node.chain.close()
