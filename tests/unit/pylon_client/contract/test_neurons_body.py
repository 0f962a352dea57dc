"""The start of an encoded body, which names its block."""

import pytest

from pylon_client.contract import json_codec, neurons_body
from pylon_client.contract.models import SubnetNeurons
from pylon_client.samples import sample_block, sample_neurons

BLOCK = sample_block(100)
BODY = json_codec.encode(sample_neurons(2, block_number=100))


@pytest.mark.parametrize("body", [BODY, json_codec.encode(SubnetNeurons(block=BLOCK, neurons={}))])
def test_the_block_of_a_body_is_recognised(body: bytes) -> None:
    assert body.startswith(neurons_body.opening(BLOCK))
    assert neurons_body.is_of_block(body, BLOCK)


def test_a_newer_version_may_add_fields() -> None:
    opening = neurons_body.opening(BLOCK)
    body = opening + b',"author":"5H"},"skipped":[],"neurons":{},"count":0}'
    assert json_codec.decode(body)["block"]["author"] == "5H"
    assert neurons_body.is_of_block(body, BLOCK)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{}",
        BODY[:-10],
        b" " + BODY,
        json_codec.encode(sample_neurons(2, block_number=10)),
        json_codec.encode(sample_neurons(2, block_number=1000)),
        BODY.replace(b"00064", b"00065", 1),
    ],
    ids=[
        "empty",
        "not text",
        "no block",
        "cut off",
        "white space",
        "start of the number",
        "longer number",
        "other hash",
    ],
)
def test_another_body_is_not_of_the_block(body: bytes) -> None:
    assert not neurons_body.is_of_block(body, BLOCK)
