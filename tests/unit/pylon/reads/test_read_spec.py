"""The table of reads."""

from collections import Counter

from pylon.chain.queries.weight_queries import WeightsOf
from pylon.reads.read_query import ReadQuery
from pylon.reads.read_spec import ReadSpec
from pylon.reads.specs import READ_SPECS
from pylon_client.contract.operations import Params
from pylon_client.contract.reads import WEIGHTS_STATUS, WeightsStatusParams
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, MechanismId, NetUid

ALICE = IdentityName("alice")
HOTKEY = Hotkey("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")


def spec_of(name: str) -> ReadSpec[Params]:
    (spec,) = (spec for spec in READ_SPECS if spec.operation.name == name)
    return spec


def test_every_operation_has_one_row() -> None:
    counts = Counter(spec.operation.name for spec in READ_SPECS)
    assert set(counts.values()) == {1}


def test_the_weights_status_queries_the_identitys_hotkey() -> None:
    params = WeightsStatusParams(block_number=BlockNumber(5), mechanism_id=MechanismId(2))
    read = ReadQuery(WEIGHTS_STATUS.name, params, NetUid(1), HOTKEY)
    built = spec_of(WEIGHTS_STATUS.name).query(read)
    assert built == WeightsOf(NetUid(1), MechanismId(2), HOTKEY)
