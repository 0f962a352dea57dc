import math

import pytest
from pydantic import ValidationError

from pylon_client.contract.operation import Params, Scope
from pylon_client.contract.writes import (
    MAX_COMMITMENT_BYTES,
    MAX_WEIGHTS,
    WRITE_OPERATIONS,
    GenerateCertificate,
    JobParams,
    PutMechanismWeights,
    PutWeights,
    SetCommitment,
    SetRevealedCommitment,
)

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"


@pytest.mark.parametrize("weight", [True, "0.5", None, -1, math.nan, math.inf, [1], {}])
def test_a_weight_is_a_finite_number_that_is_not_negative(weight: object) -> None:
    with pytest.raises(ValidationError) as caught:
        PutWeights.model_validate({"weights": {ALICE: 1.0, BOB: weight}})
    assert [error["loc"] for error in caught.value.errors()] == [("weights", BOB)]


@pytest.mark.parametrize("hotkey", ["", "x", ALICE[:-1], ALICE[:-1] + "Z", "1" + ALICE])
def test_a_hotkey_is_an_address(hotkey: str) -> None:
    with pytest.raises(ValidationError):
        PutWeights.model_validate({"weights": {hotkey: 1.0}})


@pytest.mark.parametrize(
    ("weights", "why"), [({}, "No weights provided"), ({ALICE: 0}, "All weights are zero")]
)
def test_empty_or_zero_weights_are_rejected(weights: dict[str, float], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PutWeights.model_validate({"weights": weights})


def test_every_invalid_item_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        PutWeights.model_validate({"weights": {ALICE: -1, BOB: "1"}})
    assert len(caught.value.errors()) == 2


def test_too_many_weights_are_rejected_before_their_validation() -> None:
    weights = {str(number): -1 for number in range(MAX_WEIGHTS + 1)}
    with pytest.raises(ValidationError, match=f"At most {MAX_WEIGHTS} weights") as caught:
        PutWeights.model_validate({"weights": weights})
    assert [error["loc"] for error in caught.value.errors()] == [("weights",)]


def test_whole_numbers_are_weights() -> None:
    assert PutWeights.model_validate_json(f'{{"weights":{{"{ALICE}":1}}}}').weights == {ALICE: 1.0}


@pytest.mark.parametrize("mechanism_id", [-1, 16, "1", 1.0, True])
def test_a_mechanism_is_a_small_number(mechanism_id: object) -> None:
    with pytest.raises(ValidationError):
        PutMechanismWeights.model_validate({"weights": {ALICE: 1.0}, "mechanism_id": mechanism_id})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0xDEAD", "0xdead"),
        ("dead", "0xdead"),
        (b"\xde\xad", "0xdead"),
        ("00" * 128, "0x" + "00" * 128),
    ],
)
def test_a_commitment_is_normalized(given: object, kept: str) -> None:
    assert SetCommitment.model_validate({"commitment": given}).commitment == kept


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("not_hex", "not a valid hex string"),
        ("0xGGHH", "not a valid hex string"),
        ("abc", "not a valid hex string"),
        ("١٢", "not a valid hex string"),
        ("", "at least 1 byte"),
        ("0x", "at least 1 byte"),
        ("00" * (MAX_COMMITMENT_BYTES + 1), "at most 128 bytes"),
        (1, "must be bytes or hex string"),
        (None, "must be bytes or hex string"),
    ],
)
def test_other_commitments_are_rejected(given: object, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SetCommitment.model_validate({"commitment": given})


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (SetRevealedCommitment, {"commitment": "", "blocks_until_reveal": 1}),
        (SetRevealedCommitment, {"commitment": "ö" * 385, "blocks_until_reveal": 1}),
        (SetRevealedCommitment, {"commitment": "x", "blocks_until_reveal": 0}),
        (GenerateCertificate, {"algorithm": 2}),
        (JobParams, {"job_id": "x"}),
        (JobParams, {"job_id": "a" * 26 + "\n"}),
    ],
)
def test_other_bodies_are_rejected(model: type[Params], body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)


def test_writes_require_an_identity() -> None:
    assert {scope for row in WRITE_OPERATIONS for scope in row.scopes} == {Scope.IDENTITY}
    routes = [(row.method, row.path) for row in WRITE_OPERATIONS]
    assert len(set(routes)) == len(routes) == len({row.name for row in WRITE_OPERATIONS})


@pytest.mark.parametrize("written", ["5", "5.0", "0.5e1"])
def test_an_integral_float_is_an_integer(written: str) -> None:
    text = f'{{"commitment": "later", "blocks_until_reveal": {written}}}'
    assert SetRevealedCommitment.model_validate_json(text).blocks_until_reveal == 5


@pytest.mark.parametrize("written", ["5.5", '"5"', "true", "0.0", "1e300"])
def test_other_numbers_are_not_integers(written: str) -> None:
    text = f'{{"commitment": "later", "blocks_until_reveal": {written}}}'
    with pytest.raises(ValidationError):
        SetRevealedCommitment.model_validate_json(text)
