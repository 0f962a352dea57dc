"""What an operator does where the state belongs to another chain than the node."""

import os
import shlex
from typing import Final

from pylon.chain.chain_identity import ChainIdentity

HOME_VARIABLE: Final = "PYLON_HOME"
"""Set by `pylon up` for its processes: the folder of the state."""


def reset_command(network: str) -> str:
    """Return the command that sets the state of a network aside."""
    command = f"pylon reset --network {shlex.quote(network)}"
    home = os.environ.get(HOME_VARIABLE)
    return f"{command} --home {shlex.quote(home)}" if home else command


def mismatch_remedy(bound: ChainIdentity) -> str:
    """Return what to do where the state belongs to this chain, and the node is of another."""
    return (
        f"connect to {bound.network} again (PYLON_BITTENSOR_NETWORK), or stop all workers and set "
        f"that state aside with `{reset_command(bound.network)}`"
    )


def reader_mismatch_remedy(_bound: ChainIdentity) -> str:
    """Return the same for a reader, whose state is what the signers publish."""
    return "set PYLON_BITTENSOR_NETWORK to the network of the signers"
