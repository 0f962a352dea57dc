"""One canonical spelling for each value in a path."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from bridge.problems import invalid_request
from pylon_client.contract.failures import InvalidItem


def require_canonical_path(request: Request, values: Mapping[str, Any]) -> None:
    """Reject path values that are not spelled canonically, such as `1.0`.

    Raises:
        FailureError: INVALID, with an item for each value.
    """
    odd = [
        InvalidItem(message=f"Input should be written as {value}", key=name, source="path")
        for name, value in values.items()
        if request.path_params[name] != str(value)
    ]
    if odd:
        raise invalid_request(request, odd)
