"""The JSON codec."""

import pytest

from pylon_client.contract import wire


def test_invalid_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="truncated"):
        wire.decode(b"{")
    with pytest.raises(TypeError, match="cannot be encoded as JSON"):
        wire.encode(object())
