"""The start of an encoded `SubnetNeurons`, from which its block is recognised without parsing.

A body has about 500 bytes per neuron, and every worker receives each of them.
"""

from pylon_client.contract import json_codec
from pylon_client.contract.models import Block


def opening(block: Block) -> bytes:
    """Return the first bytes of every body of this block, up to the end of the block's hash."""
    # Without the closing brace: a newer version may add fields to the block.
    return b'{"block":' + json_codec.encode(block)[:-1]


def is_of_block(body: bytes, block: Block) -> bool:
    """Return whether a body is delimited as an object, and starts with this block.

    The neurons are not parsed: only a faulty encoder writes this start before anything else.
    """
    return body.startswith(opening(block)) and body.endswith(b"}")
