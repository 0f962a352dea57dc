"""Headers of timeouts and deadlines."""

import pytest

from pylon_client.contract import headers


def test_a_deadline_header_gives_the_seconds_that_are_left() -> None:
    assert 59 < headers.seconds_left(headers.encode_deadline(60)) <= 60
    assert headers.seconds_left(headers.encode_deadline(-5)) < 0
    with pytest.raises(ValueError, match="invalid literal"):
        headers.seconds_left("soon")


def test_a_timeout_header_survives_the_wire_and_is_never_rounded_down() -> None:
    assert headers.decode_timeout(headers.encode_timeout(2.5)) == 2.5
    assert headers.encode_timeout(0.0001) == "1"
    assert headers.encode_timeout(-1) == "0"
