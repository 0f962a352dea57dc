"""Rounds of the randomness beacon drand that the chain has stored."""

from dataclasses import dataclass

from pylon.chain.bounds import u64
from pylon.chain.query import Query
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import Block, DrandRound


@dataclass(frozen=True, slots=True)
class LastDrandRound(Query[DrandRound]):
    """The newest drand round that the chain has stored."""

    async def execute(self, sdk: Sdk, block: Block) -> DrandRound:
        """Return the newest round that the chain has stored; 0 before the first."""
        stored = await sdk.query("Drand", "LastStoredRound", [], block.hash)
        return DrandRound(last_stored_round=u64(stored, "The newest round of drand"))
