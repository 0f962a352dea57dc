"""The JSON codec."""

import pytest

from pylon_client.contract import json_codec


def test_invalid_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="truncated"):
        json_codec.decode(b"{")
    with pytest.raises(TypeError, match="cannot be encoded as JSON"):
        json_codec.encode(object())
