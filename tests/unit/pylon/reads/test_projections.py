"""Projections of query results to replies, and their errors."""

from typing import Any

import pytest

from pylon.reads import projections
from pylon.reads.read_query import ReadQuery
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import NoParams, Params
from pylon_client.contract.reads import ExtrinsicParams
from pylon_client.contract.types import BlockNumber, ExtrinsicIndex, Hotkey, NetUid

ALICE, BOB, CAROL = Hotkey("alice"), Hotkey("bob"), Hotkey("carol")
SUBNET = NetUid(1)
BLOCK = {"number": 5, "hash": "0x05"}


def read_of(hotkey: Hotkey | None = None, netuid: NetUid = SUBNET) -> ReadQuery[Params]:
    return ReadQuery("test", NoParams(), netuid, hotkey)


def commitments(**items: Any) -> dict[str, Any]:
    return {
        "block": BLOCK,
        "skipped": [{"item": CAROL, "reason": "it is malformed"}],
        "commitments": items,
    }


def hex_data(text: str) -> dict[str, Any]:
    return {"kind": "hex_data", "commitment": text, "commitment_block_number": 3}


TIMELOCKED = {"kind": "timelock_encrypted", "reveal_round": 42, "reveal_failed": False}


def neuron(uid: int, total: float, *, permit: bool) -> dict[str, Any]:
    return {"uid": uid, "validator_permit": permit, "stakes": {"total": total}}


def code_of(error: pytest.ExceptionInfo[FailureError]) -> ErrorCode:
    return error.value.code


def test_validators_are_sorted_by_descending_stake() -> None:
    neurons = {
        "a": neuron(0, 1.0, permit=True),
        "b": neuron(1, 5.0, permit=True),
        "c": neuron(2, 9.0, permit=False),
        "d": neuron(3, 5.0, permit=True),
    }
    result = {"block": BLOCK, "skipped": [], "neurons": neurons}
    reply = projections.validators(result, read_of())
    assert [each["uid"] for each in reply["validators"]] == [1, 3, 0]


def test_only_plain_commitments_are_hexadecimal() -> None:
    reply = projections.hex_commitments(
        commitments(alice=hex_data("0x01"), bob=TIMELOCKED), read_of()
    )
    assert reply["commitments"] == {ALICE: "0x01"}


def test_the_commitment_of_a_hotkey_has_its_block() -> None:
    reply = projections.hex_commitment(commitments(alice=hex_data("0x01")), read_of(ALICE))
    assert reply["commitment"] == "0x01"
    assert reply["commitment_block_number"] == 3


def test_a_timelocked_commitment_is_not_found_as_plain_data() -> None:
    with pytest.raises(FailureError, match="round 42") as caught:
        projections.hex_commitment(commitments(bob=TIMELOCKED), read_of(BOB))
    assert code_of(caught) is ErrorCode.NOT_FOUND


def test_an_item_that_was_skipped_is_undecodable() -> None:
    with pytest.raises(FailureError, match="it is malformed") as caught:
        projections.typed_commitment(commitments(), read_of(CAROL))
    assert code_of(caught) is ErrorCode.UNDECODABLE


def test_a_missing_item_is_not_found() -> None:
    with pytest.raises(FailureError) as caught:
        projections.typed_commitment(commitments(), read_of(BOB))
    assert code_of(caught) is ErrorCode.NOT_FOUND


def test_the_price_of_a_missing_subnet_is_not_found() -> None:
    result = {"block": BLOCK, "prices": {"1": 0.5}}
    assert projections.price(result, read_of())["price"] == 0.5
    with pytest.raises(FailureError) as caught:
        projections.price(result, read_of(netuid=NetUid(2)))
    assert code_of(caught) is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(("index", "code"), [(1, ErrorCode.UNDECODABLE), (2, ErrorCode.NOT_FOUND)])
def test_an_extrinsic_is_selected_by_its_index(index: int, code: ErrorCode) -> None:
    result = {"extrinsics": [{"hash": "0x01"}, None]}

    def read_at(extrinsic_index: int) -> ReadQuery[ExtrinsicParams]:
        params = ExtrinsicParams(
            block_number=BlockNumber(5), extrinsic_index=ExtrinsicIndex(extrinsic_index)
        )
        return ReadQuery("test", params, None, None)

    assert projections.extrinsic(result, read_at(0)) == {"hash": "0x01"}
    with pytest.raises(FailureError) as caught:
        projections.extrinsic(result, read_at(index))
    assert code_of(caught) is code
