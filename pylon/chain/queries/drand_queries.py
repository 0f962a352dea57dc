"""Rounds of the randomness beacon drand that the chain has stored."""

from pylon.chain.bounds import u64
from pylon.chain.query import LastDrandRound
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import Block, DrandRound


async def read_last_drand_round(sdk: Sdk, _query: LastDrandRound, block: Block) -> DrandRound:
    """Return the newest round that the chain has stored; 0 before the first."""
    stored = await sdk.query("Drand", "LastStoredRound", [], block.hash)
    return DrandRound(last_stored_round=u64(stored, "The newest round of drand"))
