"""The extrinsics of a block, decoded by the SDK."""

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pylon.chain.query import Query
from pylon.chain.sdk_types import Sdk
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, Collection, Extrinsic, Skipped

logger = logging.getLogger(__name__)


class BlockExtrinsics(Collection):
    """The extrinsics of a block in their order; None for one that cannot be decoded."""

    extrinsics: list[Extrinsic | None]


@dataclass(frozen=True, slots=True)
class Extrinsics(Query[BlockExtrinsics]):
    """The extrinsics that the block includes."""

    async def execute(self, sdk: Sdk, block: Block) -> BlockExtrinsics:
        """Return the extrinsics of a block in their order.

        The hash of an extrinsic is blake2b-256 of its bytes. Its length does not include its length
        prefix.
        """
        found = await sdk.get_block(block_hash=block.hash)
        if found is None:
            raise FailureError(ErrorCode.NOT_FOUND, f"Block {block.number} not found.")
        extrinsics: list[Extrinsic | None] = []
        skipped: list[Skipped] = []
        for index, decoded in enumerate(found["extrinsics"]):
            extrinsic = _decode_extrinsic(block, index, decoded)
            extrinsics.append(extrinsic)
            if extrinsic is None:
                reason = "it does not decode with the runtime of its block"
                skipped.append(Skipped(item=str(index), reason=reason))
                UNREADABLE.report(
                    logger,
                    "extrinsic",
                    index,  # without the block: each block has such an extrinsic at this index
                    "Skipped extrinsic %d of block %d: %s",
                    *(index, block.number, reason),
                )
        return BlockExtrinsics(block=block, extrinsics=extrinsics, skipped=skipped)


def _decode_extrinsic(block: Block, index: int, decoded: dict[str, Any] | None) -> Extrinsic | None:
    if decoded is None:
        return None
    place = {"block_number": block.number, "extrinsic_index": index}
    try:
        return Extrinsic.model_validate({**decoded, **place})
    except ValidationError:
        return None
