"""Writing through the `bittensor` SDK.

Signing is separate from sending, so that the extrinsic is known before it is sent.
`pylon.chain.call_composition` composes calls instead of the SDK's intents, which need items that
not every runtime has and refuse weights one block longer than the chain does.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast

from bittensor.result import ChainError, chain_error_from_substrate_request

from pylon.chain.archive_routing import DEFAULT_CUTOFF_BLOCKS, GENESIS_BLOCK, NodeRouter
from pylon.chain.bounds import (
    ImplausibleError,
    block_number,
    block_time_s,
    nonce,
    timestamp_ms,
    u16,
    u64,
)
from pylon.chain.call_composition import RawWritingSdk, WritingSdk, compose_call
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.endpoint_label import endpoint_label
from pylon.chain.faults import is_refused_submission
from pylon.chain.head_reads import (
    BEST_HEAD_METHOD,
    FINALIZED_HEAD_METHOD,
    find_block_hash,
    read_head_number,
)
from pylon.chain.node_connection import ConnectionOwner
from pylon.chain.reveal_status import read_reveal_status
from pylon.chain.sdk_types import SUBTENSOR_PALLET, mechanism_storage_index
from pylon.chain.substrate import Substrate, node_url
from pylon.chain.weights_state import (
    last_update_of,
    read_epoch,
    read_newest_block,
    read_weights_state,
)
from pylon.chain.write_port import (
    ChainTip,
    Epoch,
    Inclusion,
    RefusedError,
    RevealStatus,
    SignedCall,
    WeightsState,
    WriteCall,
)
from pylon.chain.write_refusals import refusal_of
from pylon.chain.write_support import unsupported_writes
from pylon.common.signer import Signer
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord
from pylon_client.contract.types import (
    MAX_BLOCK_NUMBER,
    BlockNumber,
    Hotkey,
    JobKind,
    MechanismId,
    NetUid,
    NeuronUid,
)

T = TypeVar("T")

ERA_PERIOD_BLOCKS: Final = 16
"""Validity of an extrinsic, in blocks.

Short, because a lost extrinsic is known to be lost only when its era has ended; long enough for
finality to lag by several blocks.
"""
WRITE_TIMEOUT_S: Final = 30.0


class SubtensorWriter:
    """Writes to one chain node, over one connection at a time.

    Outcomes in old blocks are read from an archive node.
    """

    def __init__(
        self,
        network: str,
        archive_network: str = "",
        *,
        archive_cutoff_blocks: int = DEFAULT_CUTOFF_BLOCKS,
        timeout_s: float = WRITE_TIMEOUT_S,
        guard: ChainGuard | None = None,
    ) -> None:
        """Create a writer; each connection is opened by its first use.

        Args:
            network: a network's name that the SDK knows or a `ws://` or `wss://` URL.
            archive_network: the same, for blocks whose state the main node discarded; empty for
                no archive node.
            archive_cutoff_blocks: age in blocks above which blocks are read from the archive node.
            timeout_s: timeout of each method, in seconds.
            guard: checks the genesis of each node; None to write to any chain.

        Raises:
            ValueError: a network is neither a known name nor a WebSocket URL.
        """
        admit, admit_archive = (
            (None, None) if guard is None else (guard.check_genesis, guard.check_archive_genesis)
        )
        self._connection_owner = _connection_owner(network, "The chain node", admit)
        archive = (
            _connection_owner(archive_network, "The archive node", admit_archive)
            if archive_network
            else None
        )
        if guard is not None:
            for owner in filter(None, (self._connection_owner, archive)):
                guard.on_bound(owner.replace_threadsafe)
        # Without an archive node, old blocks are read from the chain node too: it may have them,
        # and without a read the outcome of the write would stay unknown.
        self._router = NodeRouter(
            self._connection_owner,
            archive,
            sys.maxsize if archive is None else archive_cutoff_blocks,
            _read_genesis_hash,
        )
        self._timeout_s = timeout_s

    @property
    def connections_opened(self) -> int:
        """Return the number of connections to the chain node opened so far."""
        return self._connection_owner.opened_count

    async def close(self) -> None:
        """Close the connections for good."""
        await asyncio.gather(*(owner.close() for owner in self._router.nodes))

    async def tip(self) -> ChainTip:
        """Return the numbers of the best and the finalized head."""

        async def read(sdk: WritingSdk) -> ChainTip:
            # Read in this order, the finalized head is never above the best head.
            final = await read_head_number(sdk, FINALIZED_HEAD_METHOD)
            best = await read_head_number(sdk, BEST_HEAD_METHOD)
            if final > best:
                raise ImplausibleError("The number of the newest final block", final)
            return ChainTip(best, final)

        heads = await self._call(read)
        self._router.observe_block(heads.best)
        return heads

    async def block_time_s(self) -> float:
        """Return the block time of the chain in seconds."""

        async def read(sdk: WritingSdk) -> float:
            return block_time_s(await sdk.block_time())

        return await self._call(read)

    async def epoch(self, netuid: NetUid, block: BlockNumber | None = None) -> Epoch:
        """Return the epoch of a subnet at a block, or at the best block if `block` is later."""

        async def read(sdk: WritingSdk) -> Epoch:
            number, block_hash = await read_newest_block(sdk)
            return await read_epoch(sdk, netuid, number, block_hash)

        async def read_then(sdk: WritingSdk) -> Epoch:
            return await read_epoch(sdk, netuid, then, await _require_block_hash(sdk, then))

        if block is None or block >= (await self.tip()).best:
            return await self._call(read)
        then = block
        return await self._read_at(then, read_then)

    async def genesis(self) -> str:
        """Return the hash of the chain's first block, which identifies the chain."""
        return await self._call(lambda sdk: cast("RawWritingSdk", sdk.raw).genesis_hash())

    async def block_timestamp_ms(self, block: BlockNumber) -> int:
        """Return the timestamp of a block, in milliseconds since the Unix epoch."""

        async def read(sdk: WritingSdk) -> int:
            return timestamp_ms(
                await sdk.query("Timestamp", "Now", [], await _require_block_hash(sdk, block))
            )

        return await self._read_at(block, read)

    async def weights_state(
        self,
        netuid: NetUid,
        mechanism: MechanismId,
        hotkey: Hotkey,
        weighted_hotkeys: Sequence[Hotkey],
    ) -> WeightsState:
        """Return the chain state that setting weights depends on, at the best block."""
        return await self._call(
            lambda sdk: read_weights_state(sdk, netuid, mechanism, hotkey, weighted_hotkeys)
        )

    async def is_registered(self, netuid: NetUid, hotkey: Hotkey) -> bool:
        """Return whether a hotkey is registered on a subnet, at the best block."""
        uid = await self._call(lambda sdk: sdk.query(SUBTENSOR_PALLET, "Uids", [netuid, hotkey]))
        return uid is not None

    async def next_certificate_block(self, netuid: NetUid, hotkey: Hotkey) -> BlockNumber:
        """Return the first block in which the chain accepts another certificate of a hotkey.

        `SubtensorModule`: an axon may be served again `ServingRateLimit` blocks after
        `Axons[…].block`.
        """

        async def read(sdk: WritingSdk) -> BlockNumber:
            axon, limit = await asyncio.gather(
                sdk.query(SUBTENSOR_PALLET, "Axons", [netuid, hotkey]),
                sdk.query(SUBTENSOR_PALLET, "ServingRateLimit", [netuid]),
            )
            if not axon:
                return BlockNumber(0)
            waits = u64(limit, "ServingRateLimit")
            return BlockNumber(min(block_number(axon["block"]) + waits, MAX_BLOCK_NUMBER))

        return await self._call(read)

    async def unsupported_writes(self, netuid: NetUid) -> dict[str, str]:
        """Return the unsupported kinds of writes, each with an error that names what is missing."""
        return await self._call(lambda sdk: unsupported_writes(sdk, netuid))

    async def sign(self, call: WriteCall, signer: Signer) -> SignedCall:
        """Return a call as a signed extrinsic with the account's next nonce; nothing is sent."""

        async def sign(sdk: WritingSdk) -> SignedCall:
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
            return SignedCall(
                record, extrinsic.data, newest, await raw.genesis_hash(), reveal_round
            )

        return await self._call(sign)

    async def submit(self, signed: SignedCall) -> None:
        """Submit an extrinsic once; on return the node has accepted it into its pool."""
        is_sent = False

        async def send(sdk: WritingSdk) -> ChainError | None:
            nonlocal is_sent
            if is_sent:
                # The connection's owner retries failed operations; a submission must not be.
                raise FailureError(
                    ErrorCode.CHAIN_UNAVAILABLE, "The connection broke while sending."
                )
            is_sent = True
            try:
                await cast("RawWritingSdk", sdk.raw).submit_extrinsic(_SignedPayload(signed))
            except Exception as error:
                if not is_refused_submission(error):
                    raise
                known = chain_error_from_substrate_request(error)
                return None if known.name == "AlreadyImported" else known
            return None

        refused = await self._call(send)
        if refused is None:
            return
        if refused.name == "BadProof":
            # The connection's cached runtime metadata may be outdated.
            self._connection_owner.replace()
        raise RefusedError(refusal_of(refused.name, refused.code.value, refused.message))

    async def find_extrinsic(
        self, record: ExtrinsicRecord, first: BlockNumber, last: BlockNumber
    ) -> Inclusion | None:
        """Return the inclusion of an extrinsic in the blocks `first` to `last`, inclusive."""
        for number in range(first, last + 1):
            found = await self._read_at(
                BlockNumber(number),
                lambda sdk, number=number: _find_in_block(sdk, record, BlockNumber(number)),
            )
            if found is not None:
                return found
        return None

    async def reveal_status(
        self, netuid: NetUid, hotkey: Hotkey, commitment_block: BlockNumber
    ) -> RevealStatus:
        """Return the reveal status of a timelocked commitment, at the finalized head."""

        async def read(sdk: WritingSdk) -> RevealStatus:
            final = await _require_block_hash(
                sdk, await read_head_number(sdk, FINALIZED_HEAD_METHOD)
            )
            return await read_reveal_status(sdk, netuid, hotkey, commitment_block, final)

        return await self._call(read)

    async def is_on_chain(
        self,
        kind: JobKind,
        netuid: NetUid,
        mechanism: MechanismId | None,
        hotkey: Hotkey,
        block: BlockNumber,
    ) -> bool:
        """Return whether the state after a block shows a write of this kind in that block."""

        async def read(sdk: WritingSdk) -> bool:
            block_hash = await _require_block_hash(sdk, block)
            match kind:
                case JobKind.WEIGHTS:
                    uid = await sdk.query(SUBTENSOR_PALLET, "Uids", [netuid, hotkey], block_hash)
                    index = mechanism_storage_index(netuid, mechanism or MechanismId(0))
                    updates = await sdk.query(SUBTENSOR_PALLET, "LastUpdate", [index], block_hash)
                    written = last_update_of(
                        updates, None if uid is None else NeuronUid(u16(uid, "A uid"))
                    )
                case JobKind.COMMITMENT | JobKind.REVEALED_COMMITMENT:
                    stored = await sdk.query(
                        "Commitments", "CommitmentOf", [netuid, hotkey], block_hash
                    )
                    written = block_number(stored["block"]) if stored else 0
                case JobKind.CERTIFICATE:
                    axon = await sdk.query(SUBTENSOR_PALLET, "Axons", [netuid, hotkey], block_hash)
                    written = block_number(axon["block"]) if axon else 0
            return written == block

        return await self._read_at(block, read)

    async def _read_at(
        self, block: BlockNumber, operation: Callable[[WritingSdk], Awaitable[T]]
    ) -> T:
        return await self._router.read(
            block,
            "look for a write",
            self._timeout_s,
            lambda owner, left_s: owner.call(operation, timeout_s=left_s),
        )

    async def _call(self, operation: Callable[[WritingSdk], Awaitable[T]]) -> T:
        return await self._connection_owner.call(operation, timeout_s=self._timeout_s)


def _connection_owner(
    network: str, role: str, admit: Callable[[str], None] | None
) -> ConnectionOwner[WritingSdk]:
    url = node_url(network)
    return ConnectionOwner[WritingSdk](
        lambda: cast("WritingSdk", Substrate(url, admit)),
        role=role,
        endpoint_label=endpoint_label(network),
    )


class _SignedPayload:
    """A signed extrinsic with the attributes that the SDK sends."""

    def __init__(self, signed: SignedCall) -> None:
        self.data = signed.data
        self.data_hex = "0x" + signed.data.hex()
        self.extrinsic_hash = signed.record.hash


async def _require_block_hash(sdk: WritingSdk, number: BlockNumber) -> str:
    block_hash = await find_block_hash(sdk, number)
    if block_hash is None:
        # Another node behind the same address had it, so its absence here proves nothing.
        raise FailureError(
            ErrorCode.CHAIN_UNAVAILABLE, f"The chain node does not have block {number} yet."
        )
    return block_hash


async def _read_genesis_hash(owner: ConnectionOwner[WritingSdk], timeout_s: float) -> str:
    return await owner.call(
        lambda sdk: _require_block_hash(sdk, GENESIS_BLOCK), timeout_s=timeout_s
    )


async def _find_in_block(
    sdk: WritingSdk, record: ExtrinsicRecord, number: BlockNumber
) -> Inclusion | None:
    result = await sdk.find_extrinsic(record.hash, await _require_block_hash(sdk, number))
    if result is None:
        return None
    if result.success:
        return Inclusion(BlockNumber(number))
    error: Any = result.error
    refusal = refusal_of(error.name, error.code.value, error.message)
    return Inclusion(BlockNumber(number), refusal)
