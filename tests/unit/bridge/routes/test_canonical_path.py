"""Path values that are not spelled canonically."""

from typing import Any

import pytest
from fastapi import Request

from bridge.routes.canonical_path import require_canonical_path
from pylon_client.contract.failures import ErrorCode, FailureError


def request_with(**path_params: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/subnet/1/block/5/neurons",
            "headers": [],
            "query_string": b"",
            "path_params": path_params,
        }
    )


@pytest.mark.parametrize("values", [{"netuid": 1, "block_number": 5}, {"hotkey": "5Abc"}, {}])
def test_canonical_values_pass(values: dict[str, Any]) -> None:
    require_canonical_path(request_with(netuid="1", block_number="5", hotkey="5Abc"), values)


@pytest.mark.parametrize("spelled", ["01", "1.0", "+1", " 1", "1e0", "१"])
def test_another_spelling_of_a_value_is_invalid(spelled: str) -> None:
    request = request_with(netuid=spelled, block_number="5")
    with pytest.raises(FailureError) as caught:
        require_canonical_path(request, {"netuid": 1, "block_number": 5})
    assert caught.value.code is ErrorCode.INVALID
    assert caught.value.failure.extra is not None
    (item,) = caught.value.failure.extra
    assert (item.key, item.source) == ("netuid", "path")
    assert item.message == "Input should be written as 1"
