"""Everything that a test can ask a devnet about, and do to it."""

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
from pylon_devnet.subnet_state import SUBTENSOR, storage_index, subnet_exists, uid_of
from pylon_devnet.transaction_pool import StatusCallback, TransactionPool
from pylon_devnet.websocket_server import WebSocketServer

SERVER_ERROR = -32000
RATE_LIMITED_STATUS = 429


class Controls:
    """A chain with its pool and its connections, and the handles on them.

    Args:
        options: of the devnet.

    Attributes:
        chain: the chain itself.
        pool: the extrinsics that wait.
        faults: what is made to go wrong.
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
        """Height of the newest block."""
        return self.chain.best.number

    @property
    def finalized_number(self) -> int:
        """Height of the newest final block."""
        return self.chain.finalized_number

    def request_counts(self) -> dict[str, int]:
        """How many requests there were since `clear_requests`, by method.

        Runtime calls are counted as `state_call:Api_method`.
        """
        return self._request_log.counts()

    def requests(self) -> list[RequestRecord]:
        """The newest 10,000 requests, oldest first."""
        return self._request_log.records()

    def clear_requests(self) -> None:
        """Forgets the requests so far."""
        self._request_log.clear()

    def applied_extrinsics(self) -> list[AppliedExtrinsic]:
        """The newest 10,000 extrinsics that blocks of the chain included, oldest first."""
        return list(self.pool.applied)

    def applied_counts(self) -> dict[str, dict[str, int]]:
        """How many of them each signer had, by call."""
        counts: dict[str, Counter[str]] = {}
        for applied in self.pool.applied:
            counts.setdefault(applied.signer, Counter())[applied.call] += 1
        return {signer: dict(by_call) for signer, by_call in counts.items()}

    def most_in_flight(self) -> int:
        """The most extrinsics of one signer that ever waited in the pool at once."""
        return self.pool.max_pending_per_signer

    def events(self, number: int | None = None) -> list[dict[str, Any]]:
        """The event records of a block, by default of the newest."""
        state = self.chain.state_at_number(self.best_number if number is None else number)
        return list(state.get("System", "Events"))

    def prune(self, keep_blocks: int) -> None:
        """Discards the state of all blocks but the newest `keep_blocks` ones."""
        self.chain.prune(keep_blocks)

    def stall_finality(self) -> None:
        """Makes no block final until `resume_finality`."""
        self._finality_stalled = True

    def resume_finality(self) -> None:
        """Makes everything but the newest block final again."""
        self._finality_stalled = False
        self._finalize(self.best_number - 1)

    def reorg(self, depth: int) -> int:
        """Replaces the newest `depth` blocks by one more; returns the new height.

        What they included waits in the pool again. Blocks that were final are replaced too: stall
        finality first to have a reorganisation as it happens on a chain.

        Raises:
            ValueError: there are not so many blocks.
        """
        self.pool.on_retracted(self.chain.rewind(depth))
        for _ in range(depth + 1):
            self._make_block()
        return self.best_number

    def drop_extrinsics(self) -> int:
        """Throws everything out of the pool; returns how much that was."""
        return self.pool.drop_all()

    def refuse_extrinsics(
        self,
        times: int = 1,
        code: int = 1010,
        message: str = "Invalid Transaction",
        data: str = "Custom error: 6",
    ) -> None:
        """Has the pool refuse the next extrinsics, as the chain's rate limit would by default."""
        self.faults.rejection = InjectedRejection(code, message, data)
        self.faults.extrinsics_to_reject = times

    def swallow_extrinsics(self, times: int = 1) -> None:
        """Takes the next extrinsics in and forgets them: they are never included."""
        self.faults.extrinsics_to_swallow = times

    def mute_watches(self, times: int = 1) -> None:
        """Includes the next watched extrinsics and never tells who watches them."""
        self.faults.watches_to_mute = times

    def reveal(
        self, netuid: int, hotkey: str, uids: list[int], weights: list[int], mechanism: int = 0
    ) -> None:
        """Tells the plaintext of weights that a hotkey committed; they take effect when due."""
        self.chain.reveals.set_plaintext(storage_index(netuid, mechanism), hotkey, uids, weights)

    def reveal_commitment(self, netuid: int, hotkey: str, text: str) -> None:
        """Reveal the sealed commitment of a hotkey as this text, with the next block.

        Raises:
            ValueError: no sealed commitment is stored, or it is not as long as this text with its
                length prefix.
        """
        state = self.chain.state_at_hash(None)
        self.chain.sealed_commitments.set_plaintext(state, netuid, hotkey, text)

    def drand_signature(self, round: int, signature: str) -> None:  # noqa: A002 - the beacon's word
        """Store the beacon's signature for a round with the next block: it opens what is sealed.

        Args:
            round: of the beacon.
            signature: 0x-hex of 48 bytes; that of another round makes reveals fail.

        Raises:
            ValueError: it is not hex.
        """
        raw = bytes.fromhex(signature.removeprefix("0x"))
        self.chain.schedule_change(lambda draft: store_pulse(draft, round, raw))

    def set_hyperparameter(self, netuid: int, item: str, value: Any) -> None:
        """Sets a hyperparameter, named as its storage item, with the next block.

        Raises:
            ValueError: it is none that can be set.
        """
        if item not in HYPERPARAMETERS:
            raise ValueError(f"{item} is not one of {', '.join(sorted(HYPERPARAMETERS))}")
        self.set_storage(SUBTENSOR, item, [netuid], value)
        if item == "Tempo":
            self.chain.schedule_change(lambda draft: restart_epoch_schedule(draft, netuid))

    def set_storage(self, pallet: str, item: str, params: list[Any], value: Any) -> None:
        """Sets any storage item with the next block.

        Raises:
            ValueError: there is no such item, or the value does not fit it.
        """
        try:
            entry = self.chain.codec.storage_entry(pallet, item)
            self.chain.codec.encode(entry.value_type, value)
            self.chain.codec.storage_key(pallet, item, params)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error
        self.chain.schedule_change(lambda draft: draft.put(pallet, item, *params, value))

    def register_neuron(self, netuid: int, hotkey: str, coldkey: str) -> None:
        """Makes a hotkey a neuron of a subnet, without a price, with the next block.

        Raises:
            ValueError: there is no such subnet, or a key is no ss58 address.
        """
        if not subnet_exists(self.chain.state_at_hash(None), netuid):
            raise ValueError(f"there is no subnet {netuid}")
        for key in (hotkey, coldkey):
            public_key(key)

        def change(draft: Draft) -> None:
            add_neuron(draft, netuid, hotkey, coldkey)

        self.chain.schedule_change(change)

    def deregister_neuron(self, netuid: int, hotkey: str) -> None:
        """Deregister a hotkey with the next block, as on the chain: a newcomer takes its uid.

        Raises:
            ValueError: the hotkey is not registered there.
        """
        if uid_of(self.chain.state_at_hash(None), netuid, hotkey) is None:
            raise ValueError(f"{hotkey} is not registered on subnet {netuid}")

        def change(draft: Draft) -> None:
            replace_neuron(draft, netuid, hotkey)

        self.chain.schedule_change(change)

    def trigger_epoch(self, netuid: int, blocks: int = 1) -> None:
        """Have the subnet's epoch end in this many blocks, as its owner can."""
        self.set_storage(SUBTENSOR, "PendingEpochAt", [netuid], self.best_number + blocks)

    def drop_connections(self) -> int:
        """Cuts every connection; returns how many there were."""
        return self._server.drop_all()

    def refuse_connections(self, seconds: float) -> None:
        """Refuses new connections for so long."""
        self.faults.reject_connections(seconds)

    def refuse_handshakes(self, times: int = 1, status: int = RATE_LIMITED_STATUS) -> None:
        """Answers the next handshakes with an HTTP status."""
        self.faults.handshakes_to_reject = times
        self.faults.handshake_status = status

    def go_silent(self) -> None:
        """Keeps connections but answers nothing, until `speak`; what was asked stays unanswered."""
        self.faults.silent = True

    def speak(self) -> None:
        """Ends the silence."""
        self.faults.silent = False

    def delay_method(self, method: str, seconds: float) -> None:
        """Holds back the answers of an RPC method so long; 0 ends it."""
        self.faults.delays_s.pop(method, None)
        if seconds > 0:
            self.faults.delays_s[method] = seconds

    def fail_method(
        self,
        method: str,
        times: int = 1,
        code: int = SERVER_ERROR,
        message: str = "the devnet was told to fail",
    ) -> None:
        """Answers an RPC method with an error so many times."""
        self.faults.errors[method] = InjectedError(code, message, times)

    def announce_head(self, number: Any, times: int = 1) -> None:
        """Announce the newest block with a false number, also one that is not a number.

        Args:
            number: an integer is shown as the node shows it, in hexadecimal digits; anything else
                as it is.
            times: how often to announce it.
        """
        for _ in range(times):
            self._server.announce_false_head(_header_number(number))

    def falsify_headers(self, number: Any, times: int = 1) -> None:
        """Give the next answers of chain_getHeader a false number, as `announce_head` shows it."""
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
