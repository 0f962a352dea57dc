"""Scopes and paths of operations."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pylon_client.contract.operation import NoParams, Operation, Scope
from pylon_client.contract.reads import BlockParams
from pylon_client.contract.types import BlockNumber


def operation(**more: Any) -> Operation[NoParams, BaseModel]:
    return Operation("a.b", "", NoParams, BaseModel, "/a/{b}", **more)


@pytest.mark.parametrize(
    ("row", "scopes"),
    [
        (operation(), (Scope.OPEN, Scope.IDENTITY)),
        (operation(identity_only=True), (Scope.IDENTITY,)),
        (operation(per_subnet=False), (Scope.OPEN,)),
    ],
)
def test_scopes(row: Operation[NoParams, BaseModel], scopes: tuple[Scope, ...]) -> None:
    assert row.scopes == scopes


def test_paths_begin_with_the_prefix_of_the_scope() -> None:
    assert operation().rest_path(Scope.OPEN) == "/api/v1/subnet/{netuid}/a/{b}"
    assert operation().rest_path(Scope.IDENTITY) == (
        "/api/v1/identity/{identity_name}/subnet/{netuid}/a/{b}"
    )
    assert operation(per_subnet=False).rest_path(Scope.OPEN) == "/api/v1/a/{b}"


@pytest.mark.parametrize("body", ['{"block_number": "5"}', '{"block_number": 5.0}', '{"x": 1}'])
def test_parameters_are_strict(body: str) -> None:
    with pytest.raises(ValidationError):
        BlockParams.model_validate_json(body)
    params = BlockParams(block_number=BlockNumber(5))
    with pytest.raises(ValidationError):
        params.block_number = BlockNumber(6)  # type: ignore[misc]
