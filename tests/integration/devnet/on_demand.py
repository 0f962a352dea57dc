"""Extrinsics on a devnet that makes blocks only when a test asks for them."""

from typing import Any

import bittensor

from pylon_devnet import Devnet
from tests.support.chain.dev_wallet import DevWallet

_NOW = {"signer": "hotkey", "wait_for_inclusion": False, "wait_for_finalization": False}


async def pool_refusal(client: bittensor.Client, call: Any, wallet: DevWallet) -> str | None:
    """Submit a call, and return the name of the pool's refusal."""
    result = await client.submit_call(call, wallet, **_NOW)
    return None if result.success else str(result.error.name)


async def included(
    devnet: Devnet, client: bittensor.Client, call: Any, wallet: DevWallet
) -> str | None:
    """Include a call in a separate block, and return the error with which it failed."""
    assert await pool_refusal(client, call, wallet) is None
    before = len(devnet.applied_extrinsics())
    await devnet.advance()
    applied = devnet.applied_extrinsics()
    assert len(applied) == before + 1
    return applied[-1].error
