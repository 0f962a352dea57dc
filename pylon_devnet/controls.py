"""Queries and controls of a devnet for tests."""

from collections import Counter
from typing import Any

from pylon_devnet.block import BlockHeader, DevnetBlock
from pylon_devnet.calls.admin_calls import HYPERPARAMETERS
from pylon_devnet.calls.registration_calls import add_neuron, replace_neuron
from pylon_devnet.chain_state import Draft
from pylon_devnet.codec import blake2b_256, public_key
from pylon_devnet.commitment_reveals import store_pulse
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.epoch_run import restart_epoch_schedule
from pylon_devnet.execution import AppliedExtrinsic, ExtrinsicExecutor
from pylon_devnet.injected_faults import Faults, InjectedError, InjectedRejection
from pylon_devnet.node_rpc import NodeRpc
from pylon_devnet.request_log import RequestLog, RequestRecord
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.simulated_chain import DevnetChain
from pylon_devnet.subnet_state import SUBTENSOR, U64_MAX, storage_index, subnet_exists, uid_of
from pylon_devnet.transaction_pool import StatusCallback, TransactionPool
from pylon_devnet.websocket_server import WebSocketServer

SERVER_ERROR = -32000
RATE_LIMITED_STATUS = 429


class Controls:
    """A simulated chain with its transaction pool and WebSocket server, and controls of them.

    Args:
        options: options of the devnet.

    Attributes:
        chain: the simulated chain.
        pool: the transaction pool.
        faults: injected faults.
    """

    def __init__(self, options: DevnetOptions) -> None:
        self.chain = DevnetChain(options)
        self.faults = Faults()
        executor = ExtrinsicExecutor(
            self.chain.codec, self.chain.declaration, self.chain.genesis_hash
        )
        self.pool = TransactionPool(
            executor, lambda: self.chain.state_at_hash(None), self.chain.hash
        )
        self._request_log = RequestLog()
        rpc = NodeRpc(self.chain, self.pool, self._submit, self._request_log)
        self._server = WebSocketServer(
            rpc.call, rpc.log_request, self._submit, self._current_headers, self.faults
        )
        self._finality_stalled = False

    @property
    def best_number(self) -> int:
        """Number of the newest block."""
        return self.chain.best.number

    @property
    def finalized_number(self) -> int:
        """Number of the newest finalized block."""
        return self.chain.finalized_number

    def request_counts(self) -> dict[str, int]:
        """Return the number of requests since `clear_requests` by method.

        Runtime calls are counted as `state_call:Api_method`.
        """
        return self._request_log.counts()

    def requests(self) -> list[RequestRecord]:
        """Return the newest 10,000 requests, oldest first."""
        return self._request_log.records()

    def clear_requests(self) -> None:
        """Clear the recorded requests."""
        self._request_log.clear()

    def applied_extrinsics(self) -> list[AppliedExtrinsic]:
        """Return the newest 10,000 included extrinsics, oldest first."""
        return list(self.pool.applied)

    def applied_counts(self) -> dict[str, dict[str, int]]:
        """Return the number of included extrinsics by signer and call."""
        counts: dict[str, Counter[str]] = {}
        for applied in self.pool.applied:
            counts.setdefault(applied.signer, Counter())[applied.call] += 1
        return {signer: dict(by_call) for signer, by_call in counts.items()}

    def most_in_flight(self) -> int:
        """Return the maximum number of extrinsics of one signer that were ever pending at once."""
        return self.pool.max_pending_per_signer

    def events(self, number: int | None = None) -> list[dict[str, Any]]:
        """Return the event records of a block, by default of the newest one."""
        state = self.chain.state_at_number(self.best_number if number is None else number)
        return list(state.get("System", "Events"))

    def prune(self, keep_blocks: int) -> None:
        """Discard the state of all blocks except the newest `keep_blocks`."""
        self.chain.prune(keep_blocks)

    def stall_finality(self) -> None:
        """Finalize no more blocks until `resume_finality`."""
        self._finality_stalled = True

    def resume_finality(self) -> None:
        """Finalize all blocks except the newest one, and continue to do so."""
        self._finality_stalled = False
        self._finalize(self.best_number - 1)

    def reorg(self, depth: int) -> int:
        """Replace the newest `depth` blocks by `depth` + 1 new ones; return the new block number.

        Extrinsics of retracted blocks return to the pool. Finalized blocks are replaced too: stall
        finality first for a realistic reorg.

        Raises:
            ValueError: the chain has fewer blocks.
        """
        self.pool.on_retracted(self.chain.rewind(depth))
        for _ in range(depth + 1):
            self._make_block()
        return self.best_number

    def drop_extrinsics(self) -> int:
        """Drop all extrinsics of the pool; return their number."""
        return self.pool.drop_all()

    def refuse_extrinsics(
        self,
        times: int = 1,
        code: int = 1010,
        message: str = "Invalid Transaction",
        data: str = "Custom error: 6",
    ) -> None:
        """Reject the next extrinsics; by default with the error of the chain's rate limit."""
        self.faults.rejection = InjectedRejection(code, message, data)
        self.faults.extrinsics_to_reject = times

    def swallow_extrinsics(self, times: int = 1) -> None:
        """Accept the next extrinsics without ever including them."""
        self.faults.extrinsics_to_swallow = times

    def mute_watches(self, times: int = 1) -> None:
        """Include the next watched extrinsics without sending status updates."""
        self.faults.watches_to_mute = times

    def reveal(
        self, netuid: int, hotkey: str, uids: list[int], weights: list[int], mechanism: int = 0
    ) -> None:
        """Set the plaintext of weights that a hotkey committed; it is applied when they are due."""
        self.chain.reveals.set_plaintext(storage_index(netuid, mechanism), hotkey, uids, weights)

    def reveal_commitment(self, netuid: int, hotkey: str, text: str) -> None:
        """Reveal the timelocked commitment of a hotkey as this text, with the next block.

        Raises:
            ValueError: no timelocked commitment is stored, or its length differs from this text
                with its length prefix.
        """
        state = self.chain.state_at_hash(None)
        self.chain.timelocked_commitments.set_plaintext(state, netuid, hotkey, text)

    def drand_signature(self, round: int, signature: str) -> None:  # noqa: A002 - the beacon's word
        """Store the beacon's signature of a round with the next block, so that commitments decrypt.

        Args:
            round: round of the beacon.
            signature: 48 bytes as 0x-hex; the signature of another round makes reveals fail.

        Raises:
            ValueError: the signature is not hex, or the round is not an unsigned 64-bit integer.
        """
        if not 0 <= round <= U64_MAX:
            raise ValueError(f"the round is {round}; it must be from 0 to {U64_MAX}")
        raw = bytes.fromhex(signature.removeprefix("0x"))
        self.chain.schedule_change(lambda draft: store_pulse(draft, round, raw))

    def set_hyperparameter(self, netuid: int, item: str, value: Any) -> None:
        """Set a hyperparameter, named as its storage item, with the next block.

        Raises:
            ValueError: the item cannot be set.
        """
        if item not in HYPERPARAMETERS:
            raise ValueError(f"{item} is not one of {', '.join(sorted(HYPERPARAMETERS))}")
        self.set_storage(SUBTENSOR, item, [netuid], value)
        if item == "Tempo":
            self.chain.schedule_change(lambda draft: restart_epoch_schedule(draft, netuid))

    def set_storage(self, pallet: str, item: str, params: list[Any], value: Any) -> None:
        """Set any storage item with the next block.

        Raises:
            ValueError: the item does not exist, or the keys or the value do not match its types.
        """
        codec = self.chain.codec
        try:
            entry = codec.storage_entry(pallet, item)
            # A value is encoded without a check that it can be read.
            codec.decode(entry.value_type, codec.encode(entry.value_type, value))
            codec.storage_key(pallet, item, params)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error
        if len(params) != entry.key_count:
            raise ValueError(f"{pallet}.{item} takes {entry.key_count} keys, not {len(params)}")
        self.chain.schedule_change(lambda draft: draft.put(pallet, item, *params, value))

    def register_neuron(self, netuid: int, hotkey: str, coldkey: str) -> None:
        """Register a hotkey on a subnet without burning TAO, with the next block.

        Raises:
            ValueError: the subnet does not exist, a key is not an ss58 address, or the hotkey is
                registered on the subnet.
        """
        state = self.chain.state_at_hash(None)
        if not subnet_exists(state, netuid):
            raise ValueError(f"subnet {netuid} does not exist")
        for key in (hotkey, coldkey):
            public_key(key)
        if uid_of(state, netuid, hotkey) is not None:
            raise ValueError(f"{hotkey} is registered on subnet {netuid}")

        def change(draft: Draft) -> None:
            if uid_of(draft, netuid, hotkey) is None:
                add_neuron(draft, netuid, hotkey, coldkey)

        self.chain.schedule_change(change)

    def deregister_neuron(self, netuid: int, hotkey: str) -> None:
        """Deregister a hotkey with the next block: as on the chain, a new neuron takes its uid.

        Raises:
            ValueError: the hotkey is not registered on the subnet.
        """
        if uid_of(self.chain.state_at_hash(None), netuid, hotkey) is None:
            raise ValueError(f"{hotkey} is not registered on subnet {netuid}")

        def change(draft: Draft) -> None:
            if uid_of(draft, netuid, hotkey) is not None:
                replace_neuron(draft, netuid, hotkey)

        self.chain.schedule_change(change)

    def trigger_epoch(self, netuid: int, blocks: int = 1) -> None:
        """End the subnet's epoch in `blocks` blocks, as its owner can."""
        self.set_storage(SUBTENSOR, "PendingEpochAt", [netuid], self.best_number + blocks)

    def drop_connections(self) -> int:
        """Abort all connections; return their number."""
        return self._server.drop_all()

    def refuse_connections(self, seconds: float) -> None:
        """Reject new connections for a time in seconds."""
        self.faults.reject_connections(seconds)

    def refuse_handshakes(self, times: int = 1, status: int = RATE_LIMITED_STATUS) -> None:
        """Reject the next WebSocket handshakes with an HTTP status."""
        self.faults.handshakes_to_reject = times
        self.faults.handshake_status = status

    def go_silent(self) -> None:
        """Keep connections open, but discard all requests without a response until `speak`."""
        self.faults.silent = True

    def speak(self) -> None:
        """Respond to requests again after `go_silent`."""
        self.faults.silent = False

    def delay_method(self, method: str, seconds: float) -> None:
        """Delay the responses of an RPC method by `seconds`; 0 ends the delay."""
        self.faults.delays_s.pop(method, None)
        if seconds > 0:
            self.faults.delays_s[method] = seconds

    def fail_method(
        self,
        method: str,
        times: int = 1,
        code: int = SERVER_ERROR,
        message: str = "injected error",
    ) -> None:
        """Return an error for the next `times` requests of an RPC method."""
        self.faults.errors[method] = InjectedError(code, message, times)

    def announce_head(self, number: Any, times: int = 1) -> None:
        """Announce the newest block with a false number, which need not be a number.

        Args:
            number: integers are encoded in hexadecimal as the node does; other values are sent
                unchanged.
            times: number of announcements.
        """
        for _ in range(times):
            self._server.announce_false_head(_header_number(number))

    def falsify_headers(self, number: Any, times: int = 1) -> None:
        """Return a false number in the next responses of chain_getHeader; see `announce_head`."""
        self.faults.header_number = _header_number(number)
        self.faults.headers_to_falsify = times

    def _make_block(self) -> DevnetBlock:
        block = self.chain.make_block(self.pool.apply)
        self.pool.on_block(block)
        self._server.announce_head(block.header)
        if not self._finality_stalled:
            self._finalize(block.number - 1)
        return block

    def _finalize(self, number: int) -> None:
        for height in range(self.chain.finalized_number + 1, number + 1):
            self.chain.finalized_number = height
            hash_ = self.chain.hash(height)
            block = None if hash_ is None else self.chain.block(hash_)
            if block is not None:
                self._server.announce_final(block.header)
            self.pool.on_finalized(height)

    def _current_headers(self) -> tuple[BlockHeader, BlockHeader]:
        final = self.chain.block(self.chain.finalized_hash())
        return self.chain.best.header, (final or self.chain.best).header

    def _submit(self, extrinsic: str, on_status: StatusCallback | None) -> bytes:
        raw = bytes.fromhex(extrinsic.removeprefix("0x"))
        refusal = self.faults.next_rejection()
        if refusal is not None:
            raise RpcError(refusal.code, refusal.message, refusal.data)
        if self.faults.swallows_next_extrinsic():
            return blake2b_256(raw)
        muted = on_status is not None and self.faults.mutes_next_watch()
        return self.pool.submit(raw, None if muted else on_status)


def _header_number(number: Any) -> Any:
    return hex(number) if isinstance(number, int) and not isinstance(number, bool) else number
