"""The table of reads."""

from collections import Counter

import pytest

from pylon.chain.queries.weight_queries import WeightsOf
from pylon.reads.read_query import ReadQuery, resolve
from pylon.reads.specs import READ_SPECS, ReadSpec
from pylon.rpc.calls import ServiceCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import NoParams, Params, Scope
from pylon_client.contract.reads import OWN_COMMITMENT, WEIGHTS_STATUS, WeightsStatusParams
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, MechanismId, NetUid

ALICE = IdentityName("alice")
HOTKEY = Hotkey("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")


def spec_of(name: str) -> ReadSpec[Params]:
    (spec,) = (spec for spec in READ_SPECS if spec.operation.name == name)
    return spec


def call_of(identity: IdentityName | None) -> ServiceCall[NoParams]:
    return ServiceCall(
        operation=OWN_COMMITMENT.name,
        scope=Scope.OPEN if identity is None else Scope.IDENTITY,
        netuid=NetUid(1),
        identity=identity,
        params=NoParams(),
        timeout_s=10.0,
        request_id="r",
    )


def test_every_operation_has_one_row() -> None:
    counts = Counter(spec.operation.name for spec in READ_SPECS)
    assert set(counts.values()) == {1}


def test_the_weights_status_queries_the_identitys_hotkey() -> None:
    params = WeightsStatusParams(block_number=BlockNumber(5), mechanism_id=MechanismId(2))
    read = ReadQuery(WEIGHTS_STATUS.name, params, NetUid(1), HOTKEY)
    built = spec_of(WEIGHTS_STATUS.name).query(read)
    assert built == WeightsOf(NetUid(1), MechanismId(2), HOTKEY)


def test_an_own_read_uses_the_hotkey_of_the_identity() -> None:
    read = resolve(call_of(ALICE), {ALICE: HOTKEY}, uses_own_hotkey=True)
    assert read.hotkey == HOTKEY
    assert read.netuid == 1


def test_an_unknown_own_hotkey_is_a_misconfiguration() -> None:
    with pytest.raises(FailureError) as caught:
        resolve(call_of(ALICE), {}, uses_own_hotkey=True)
    assert caught.value.code is ErrorCode.MISCONFIGURED


def test_equal_calls_of_different_callers_are_one_query() -> None:
    one = resolve(call_of(None), {}, uses_own_hotkey=False)
    assert one == resolve(call_of(ALICE), {}, uses_own_hotkey=False)
    with pytest.raises(TypeError, match="no hotkey"):
        _ = one.hotkey
