"""Remedies for operators if the state belongs to another chain than the node."""

import os
import shlex
from typing import Final

from pylon.chain.chain_identity import ChainIdentity

HOME_VARIABLE: Final = "PYLON_HOME"
"""Variable with the state folder, which `pylon up` sets for its processes."""


def reset_command(network: str) -> str:
    """Return the command that sets the state of a network aside."""
    command = f"pylon reset --network {shlex.quote(network)}"
    home = os.environ.get(HOME_VARIABLE)
    return f"{command} --home {shlex.quote(home)}" if home else command


def mismatch_remedy(bound: ChainIdentity) -> str:
    """Return the remedy if the state is bound to this chain and the node is of another."""
    return (
        f"connect to {bound.network} again (PYLON_BITTENSOR_NETWORK), or stop all workers and set "
        f"that state aside with `{reset_command(bound.network)}`"
    )


def reader_mismatch_remedy(_bound: ChainIdentity) -> str:
    """Return the remedy for a reader, whose state is the events of the signers."""
    return "set PYLON_BITTENSOR_NETWORK to the network of the signers"
