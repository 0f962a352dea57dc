"""The query of a call, independent of its caller."""

from dataclasses import replace

import pytest

from pylon.reads.read_query import ReadQuery, resolve
from pylon.rpc.calls import ParamsT, ServiceCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import NoParams, Params, Scope
from pylon_client.contract.reads import OWN_COMMITMENT, HotkeyParams
from pylon_client.contract.types import Hotkey, IdentityName, NetUid

ALICE = IdentityName("alice")
HOTKEY = Hotkey("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")
OTHER = Hotkey("5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy")


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


def with_params(params: ParamsT, identity: IdentityName | None) -> ServiceCall[ParamsT]:
    call = call_of(identity)
    return ServiceCall(call.operation, call.scope, call.netuid, identity, params, 10.0, "r")


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


def test_a_named_hotkey_is_read_whoever_the_caller_is() -> None:
    params = HotkeyParams(hotkey=OTHER)
    reads = [
        resolve(with_params(params, identity), {ALICE: HOTKEY}, uses_own_hotkey=False)
        for identity in (None, ALICE)
    ]
    assert reads[0] == reads[1]
    assert reads[0].hotkey == OTHER


def test_the_own_hotkey_precedes_a_named_one() -> None:
    call = with_params(HotkeyParams(hotkey=OTHER), ALICE)
    assert resolve(call, {ALICE: HOTKEY}, uses_own_hotkey=True).hotkey == HOTKEY


def test_a_caller_with_open_access_has_no_own_hotkey() -> None:
    for call in (call_of(None), replace(call_of(ALICE), scope=Scope.OPEN)):
        read = resolve(call, {ALICE: HOTKEY}, uses_own_hotkey=True)
        assert read.optional_hotkey is None


def test_a_read_of_the_chain_has_no_subnet() -> None:
    read: ReadQuery[Params] = ReadQuery("block.latest", NoParams(), None, None)
    with pytest.raises(TypeError, match="has no subnet"):
        _ = read.netuid
