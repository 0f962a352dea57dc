"""Sign calls: the nonce, the era and the signature of an extrinsic, without sending it."""

from typing import Final, cast

from pylon.chain.bounds import nonce
from pylon.chain.call_composition import RawWritingSdk, WritingSdk, compose_call
from pylon.chain.head_reads import BEST_HEAD_METHOD, FINALIZED_HEAD_METHOD, read_head_number
from pylon.chain.write_port import SignedCall, WriteCall
from pylon.common.signer import Signer
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord
from pylon_client.contract.types import BlockNumber

ERA_PERIOD_BLOCKS: Final = 16
"""Validity of an extrinsic, in blocks.

Short, because a lost extrinsic is known to be lost only when its era has ended; long enough for
finality to lag by several blocks.
"""


async def sign_call(sdk: WritingSdk, call: WriteCall, signer: Signer) -> SignedCall:
    """Return a call as a signed extrinsic with the account's next nonce; nothing is sent.

    Raises:
        RefusedError: the chain would refuse the call.
        FailureError: CHAIN_UNAVAILABLE if finality lags so far that the era would have ended.
    """
    call_bytes, reveal_round = await compose_call(sdk, call, signer)
    raw = cast("RawWritingSdk", sdk.raw)
    # Read and checked here: the SDK would sign any nonce and height that a node reports.
    number = nonce(await raw.rpc_request("account_nextIndex", [signer.ss58_address]))
    unsigned = await raw.prepare_unsigned(
        call_bytes,
        address=signer.ss58_address,
        crypto_type=signer.crypto_type,
        era={
            "period": ERA_PERIOD_BLOCKS,
            "current": await read_head_number(sdk, FINALIZED_HEAD_METHOD),
        },
        nonce=number,
    )
    extrinsic = await raw.attach_signature(unsigned, signer.sign(unsigned.payload))
    # The chain derives the birth block from the era's current block.
    current = int(unsigned.era["current"])
    record = ExtrinsicRecord(
        hash=extrinsic.extrinsic_hash,
        nonce=number,
        era_birth=BlockNumber(current),
        era_period=ERA_PERIOD_BLOCKS,
    )
    newest = await read_head_number(sdk, BEST_HEAD_METHOD)
    if newest >= record.last_valid_block:
        raise FailureError(
            ErrorCode.CHAIN_UNAVAILABLE,
            f"Finality is {newest - current} blocks behind: the era of a new extrinsic "
            "would have ended.",
        )
    # The nonce was read earlier, so a block in between only includes older extrinsics.
    return SignedCall(record, extrinsic.data, newest, await raw.genesis_hash(), reveal_round)
