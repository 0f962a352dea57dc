"""Items that the chain's runtime lacks."""

import pytest

from pylon.chain.runtime_items import optional_item, require_item
from pylon_client.contract.failures import ErrorCode, FailureError


async def use(error: Exception | None) -> int:
    if error is not None:
        raise error
    return 5


@pytest.mark.parametrize(
    "text", ["Storage function X.Y not found", "Runtime API 'Z' not found in registry"]
)
async def test_a_missing_item_is_named(text: str) -> None:
    with pytest.raises(FailureError, match=r"does not have X\.Y") as caught:
        await require_item("X.Y", use(ValueError(text)))
    assert caught.value.code is ErrorCode.RUNTIME_UNSUPPORTED
    assert await optional_item("X.Y", use(ValueError(text))) is None


async def test_a_value_that_does_not_decode_is_not_a_missing_item() -> None:
    with pytest.raises(ValueError, match="bad bytes"):
        await optional_item("X.Y", use(ValueError("bad bytes")))


async def test_the_result_is_returned() -> None:
    assert await require_item("X.Y", use(None)) == 5
    assert await optional_item("X.Y", use(None)) == 5
