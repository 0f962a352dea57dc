"""Check whether state of an earlier version, without a chain record, is of the node's chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pylon.chain.chain_identity import ChainIdentity, short_genesis
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.open_jobs import all_open_jobs
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events.stored_events import EventLogReader

UNKNOWN_NETWORK: Final = "unknown"
"""Network name of state that no worker has bound; also valid for `pylon reset`."""
_BEFORE_ALL: Final = BlockNumber(-1)


class BlockHashReader(Protocol):
    """Reads block hashes of a node."""

    async def block_hashes(self, numbers: Sequence[int]) -> list[BlockHash | None]:
        """Return the hash of each block; None for a number without a block."""
        ...


@dataclass(frozen=True, slots=True)
class ChainMismatch:
    """Evidence that the state belongs to another chain than the node's.

    Attributes:
        chain: the chain of the state, as far as it is known.
        reason: the evidence, for the operator.
    """

    chain: ChainIdentity
    reason: str


async def find_mismatch(
    genesis: str, node: BlockHashReader, store: BucketPort, events: EventLogReader
) -> ChainMismatch | None:
    """Return evidence that state without a chain record is of another chain than the node's.

    State without chain data matches any chain.

    Args:
        genesis: genesis hash of the node's chain.
        node: reads block hashes of the node.
        store: bucket of the job store.
        events: reader of stored events.

    Raises:
        FailureError: the node or NATS did not respond.
    """
    legacy_genesis = await ChainRecord(store).legacy_genesis()
    if legacy_genesis not in {None, genesis}:
        return _mismatch(
            legacy_genesis,
            f"its writes were accepted for the genesis {_short_genesis(legacy_genesis)}",
        )
    open_jobs = await all_open_jobs(store)
    foreign = [one.job for one in open_jobs if one.job.genesis not in {None, genesis}]
    if foreign:
        reason = f"{len(foreign)} of its jobs that have not ended are for another genesis"
        return _mismatch(foreign[0].genesis, reason)
    published = await _published_blocks(events)
    if not published:
        return None
    hashes = await node.block_hashes([block.number for block in published])
    if any(block.hash == found for block, found in zip(published, hashes, strict=True)):
        return None
    newest = published[0]
    node_text = "another hash" if any(hashes) else "no block of that number"
    reason = f"block {newest.number} of it was published, for which the node has {node_text}"
    return _mismatch(None, reason)


async def _published_blocks(events: EventLogReader) -> list[Block]:
    """Return the newest and the oldest stored block; empty without stored blocks.

    Both, because a reorg may have replaced the newest one.
    """
    subject = str(BlockEventSubject())
    newest = await events(subject)
    if newest is None:
        return []
    oldest = await events(subject, _BEFORE_ALL)
    return [each.block for each in (newest, oldest) if each is not None]


def _mismatch(genesis: str | None, reason: str) -> ChainMismatch:
    return ChainMismatch(ChainIdentity(UNKNOWN_NETWORK, genesis or UNKNOWN_NETWORK), reason)


def _short_genesis(genesis: str | None) -> str:
    return short_genesis(genesis or "")
