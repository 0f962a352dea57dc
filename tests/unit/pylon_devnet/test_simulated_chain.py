"""Extrinsics, blocks, reorganisations and prunes in any order, against a plain model."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pylon_devnet.codec import sr25519_address
from pylon_devnet.controls import Controls
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.population import dev_coldkey_seed
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.simulated_chain import StateDiscardedError
from tests.support.chain.signing import signed

pytestmark = pytest.mark.fuzz

SEEDS = [dev_coldkey_seed(name) for name in ("sn1", "sn2", "sn12")]
ADDRESSES = [sr25519_address(seed) for seed in SEEDS]
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "works": ("System", "remark", {"remark": b"!"}),
    "fails": ("AdminUtils", "sudo_set_stake_threshold", {"min_stake": 1}),
    "moves": ("Balances", "transfer_keep_alive", {"dest": ADDRESSES[0], "value": 1000}),
}


@dataclass
class Waiting:
    kind: str
    tip: int


@dataclass
class ModelBlock:
    nonces: list[int]
    included: list[tuple[int, int, Waiting]] = field(default_factory=list)


class ChainMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        options = DevnetOptions(active=False, genesis_time_ms=1_750_000_000_000, tempo_blocks=5)
        self.node = Controls(options)
        self.blocks = [ModelBlock([0, 0, 0])]
        self.pool: list[dict[int, Waiting]] = [{}, {}, {}]

    def teardown(self) -> None:
        self.node.chain.close()

    @rule(
        who=st.integers(0, 2),
        ahead=st.integers(-1, 3),
        kind=st.sampled_from(sorted(KINDS)),
        tip=st.integers(0, 2),
    )
    def submit(self, who: int, ahead: int, kind: str, tip: int) -> None:
        nonce = self.blocks[-1].nonces[who] + ahead
        if nonce < 0:
            return
        raw = signed(self.node.chain, SEEDS[who], KINDS[kind], nonce, tip)
        rival = self.pool[who].get(nonce)
        if ahead < 0:
            expected = "Transaction is outdated"
        elif rival is not None and (rival.kind, rival.tip) == (kind, tip):
            # The signature has a random part: it may be another extrinsic that says the same.
            expected = "Priority is too low"
        elif rival is not None and tip <= rival.tip:
            expected = "Priority is too low"
        else:
            self.node.pool.submit(raw)
            self.pool[who][nonce] = Waiting(kind, tip)
            return
        with pytest.raises(RpcError) as refused:
            self.node.pool.submit(raw)
        assert expected in f"{refused.value.message} {refused.value.data}"

    @rule()
    def block(self) -> None:
        self.node._make_block()
        self._model_block()

    @precondition(lambda self: len(self.blocks) > 1)
    @rule(data=st.data())
    def reorg(self, data: Any) -> None:
        depth = data.draw(st.integers(1, min(4, len(self.blocks) - 1)))
        if len(self.blocks) - 1 - depth < self.node.chain.history.oldest:
            with pytest.raises(StateDiscardedError):
                self.node.reorg(depth)
            return
        self.node.reorg(depth)
        retracted = self.blocks[-depth:]
        del self.blocks[-depth:]
        for lost in retracted:
            for who, nonce, waiting in lost.included:
                self.pool[who].setdefault(nonce, waiting)
        for _ in range(depth + 1):
            self._model_block()

    @rule(keep=st.integers(1, 6))
    def prune(self, keep: int) -> None:
        self.node.prune(keep)

    def _model_block(self) -> None:
        block = ModelBlock(list(self.blocks[-1].nonces))
        for who in range(3):
            while block.nonces[who] in self.pool[who]:
                nonce = block.nonces[who]
                block.included.append((who, nonce, self.pool[who].pop(nonce)))
                block.nonces[who] += 1
        self.blocks.append(block)

    @invariant()
    def every_kept_block_has_the_nonces_and_events_of_the_model(self) -> None:
        chain = self.node.chain
        assert chain.best.number == len(self.blocks) - 1
        for number in range(chain.history.oldest, len(self.blocks)):
            model, state = self.blocks[number], chain.state_at_number(number)
            nonces = [state.get("System", "Account", one)["nonce"] for one in ADDRESSES]
            assert nonces == model.nonces
            assert state.get("System", "Number") == number
            happened = [one["event_id"] for one in state.get("System", "Events")]
            assert state.get("System", "EventCount") == len(happened)
            failed = sum(waiting.kind == "fails" for _, _, waiting in model.included)
            assert happened.count("ExtrinsicFailed") == failed
            succeeded = len(model.included) - failed + (number > 0)
            assert happened.count("ExtrinsicSuccess") == succeeded
            hash_ = chain.hash(number)
            assert hash_ is not None
            block = chain.block(hash_)
            assert block is not None
            assert len(block.extrinsics) == len(model.included) + (number > 0)
            assert block.header.hash() == hash_
            assert number == 0 or block.header.parent == chain.hash(number - 1)

    @invariant()
    def the_pool_holds_what_the_model_holds(self) -> None:
        assert len(self.node.pool) == sum(map(len, self.pool))
        for who, address in enumerate(ADDRESSES):
            nonce = self.blocks[-1].nonces[who]
            while nonce in self.pool[who]:
                nonce += 1
            assert self.node.pool.next_nonce(address) == nonce

    @invariant()
    def what_was_applied_is_told_once(self) -> None:
        applied = [(one.signer, one.nonce) for one in self.node.applied_extrinsics()]
        assert len(applied) == len(set(applied)) == sum(self.blocks[-1].nonces)

    @invariant()
    def money_is_only_spent_on_fees(self) -> None:
        state = self.node.chain.state_at_hash(None)
        free = sum(state.get("System", "Account", one)["data"]["free"] for one in ADDRESSES)
        paid = sum(
            waiting.kind != "fails" for block in self.blocks for *_, waiting in block.included
        )
        assert (3 * 10**12 - free > 0) == (paid > 0)


ChainMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    phases=set(Phase) - {Phase.explain},  # it traces every line, and a genesis has many
)
TestChain = ChainMachine.TestCase
