from pylon.chain.sdk_types import MECHANISM_STRIDE, mechanism_storage_index
from pylon_client.contract.types import MechanismId, NetUid
from pylon_devnet import subnet_state


def test_the_items_of_each_mechanism_have_an_index() -> None:
    assert mechanism_storage_index(NetUid(5), MechanismId(0)) == 5
    assert mechanism_storage_index(NetUid(5), MechanismId(2)) == 5 + 2 * 4096
    assert MECHANISM_STRIDE == subnet_state.MECHANISM_STRIDE
