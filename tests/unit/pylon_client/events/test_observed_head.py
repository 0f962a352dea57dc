"""The header with the head of the chain."""

import re

import pytest

from pylon_client.contract.types import BlockNumber
from pylon_client.events.observed_head import ObservedHead


def test_a_header_has_the_number_and_the_time_in_milliseconds() -> None:
    head = ObservedHead(BlockNumber(7123), 35.9999)
    assert head.encode() == "7123 35999"
    assert ObservedHead.decode("7123 35999") == ObservedHead(BlockNumber(7123), 35.999)


@pytest.mark.parametrize(
    "text", ["", "7123", "7123 -1", "7123 1.5", "4294967296 1", "7 1 1", " 7 1"]
)
def test_other_text_is_not_a_header(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ObservedHead.decode(text)
