"""The encoded form of `SubnetNeurons`: its block, then all other fields.

A body has about 500 bytes per neuron, and every worker receives each of them. So the block is
written and recognised without parsing the rest.
"""

from pylon_client.contract import json_codec
from pylon_client.contract.models import Block


def opening(block: Block) -> bytes:
    """Return the first bytes of every body of this block, up to the end of the block's hash."""
    # Without the closing brace: a newer version may add fields to the block.
    return b'{"block":' + json_codec.encode(block)[:-1]


def at_block(block: Block, fields: bytes) -> bytes:
    """Return a body.

    Args:
        block: the block at which the neurons were read.
        fields: the JSON after the block, up to the end of the body.
    """
    return b"%b},%b" % (opening(block), fields)


def is_of_block(body: bytes, block: Block) -> bool:
    """Return whether a body is delimited as an object, and starts with this block.

    The neurons are not parsed: only a faulty encoder writes this start before anything else.
    """
    return body.startswith(opening(block)) and body.endswith(b"}")
