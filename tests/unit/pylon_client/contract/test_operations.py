import re

import pytest
from pydantic import BaseModel, ValidationError

from pylon_client.contract.operations import (
    NATS_OPERATIONS,
    OPERATIONS,
    OPERATIONS_BY_NAME,
    BlockParams,
    Operation,
    Params,
    Scope,
    is_read,
)
from pylon_client.contract.subjects import OpenSubject, parse_subject
from pylon_client.contract.types import NetUid

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda row: row.name)


def test_names_and_routes_are_unique() -> None:
    assert len(OPERATIONS_BY_NAME) == len(NATS_OPERATIONS)
    routes = [(row.method, row.rest_path(scope)) for row in OPERATIONS for scope in row.scopes]
    assert len(set(routes)) == len(routes)


@every_operation
def test_a_name_is_valid_in_a_subject(operation: Operation[Params, BaseModel]) -> None:
    subject = OpenSubject(NetUid(1), operation.name)
    assert parse_subject(str(subject)) == subject


@every_operation
def test_path_names_are_fields_of_the_params(operation: Operation[Params, BaseModel]) -> None:
    assert set(re.findall(r"{(\w+)}", operation.path)) <= set(operation.params.model_fields)


def test_reads_of_the_chain_are_open_only() -> None:
    assert OPERATIONS_BY_NAME["block.latest"].scopes == (Scope.OPEN,)
    assert OPERATIONS_BY_NAME["neurons.at"].scopes == (Scope.OPEN, Scope.IDENTITY)


def test_the_published_paths_do_not_change() -> None:
    latest, at = OPERATIONS_BY_NAME["neurons.latest"], OPERATIONS_BY_NAME["neurons.at"]
    assert latest.rest_path(Scope.OPEN) == "/api/v1/subnet/{netuid}/block/latest/neurons"
    assert (
        at.rest_path(Scope.IDENTITY)
        == "/api/v1/identity/{identity_name}/subnet/{netuid}/block/{block_number}/neurons"
    )
    assert OPERATIONS_BY_NAME["block.latest"].rest_path(Scope.OPEN) == "/api/v1/block/latest"


@pytest.mark.parametrize("number", [-1, 2**32, 1.5, "7", True, None])
def test_a_block_number_is_a_u32_without_coercion(number: object) -> None:
    with pytest.raises(ValidationError):
        BlockParams.model_validate({"block_number": number})


def test_unknown_params_are_rejected() -> None:
    with pytest.raises(ValidationError):
        BlockParams.model_validate({"block_number": 1, "hash": "0x00"})


def test_only_requests_that_change_nothing_are_reads() -> None:
    for operation in NATS_OPERATIONS:
        subject = str(OpenSubject(NetUid(1), operation.name))
        assert is_read(subject) == (operation.method == "GET")
    assert is_read("pylon.v1.identity.sn1.jobs.get")
    for other in ("pylon.v1.identity.sn1.weights.put", "pylon.v1.event.block", "pylon.v1.open", ""):
        assert not is_read(other)
