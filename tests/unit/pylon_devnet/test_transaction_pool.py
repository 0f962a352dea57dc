"""Nonces, replacements and statuses of pending extrinsics."""

from collections.abc import Generator
from typing import Any

import pytest

from pylon_devnet import transaction_pool
from pylon_devnet.block import DevnetBlock
from pylon_devnet.codec import sr25519_address
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.execution import ExtrinsicExecutor
from pylon_devnet.population import dev_coldkey_seed
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.simulated_chain import DevnetChain
from pylon_devnet.transaction_pool import TransactionPool
from tests.support.chain.signing import signed

SEED, OTHER = dev_coldkey_seed("sn1"), dev_coldkey_seed("sn2")
WHO = sr25519_address(SEED)


class PoolOfChain:
    """A pool, its chain, and the statuses of each extrinsic by nonce."""

    def __init__(self) -> None:
        self.chain = DevnetChain(DevnetOptions(active=False, neurons=16))
        executor = ExtrinsicExecutor(
            self.chain.codec, self.chain.declaration, self.chain.genesis_hash
        )
        self.pool = TransactionPool(
            executor, lambda: self.chain.state_at_hash(None), self.chain.hash
        )
        self.statuses: dict[int, list[Any]] = {}

    def raw(self, nonce: int = 0, tip: int = 0, seed: bytes = SEED) -> bytes:
        return signed(self.chain, seed, ("System", "remark", {"remark": b"!"}), nonce, tip)

    def submit(self, nonce: int = 0, tip: int = 0) -> bytes:
        statuses = self.statuses.setdefault(nonce, [])
        raw = self.raw(nonce, tip)
        self.pool.submit(raw, statuses.append)
        return raw

    def make_block(self) -> DevnetBlock:
        block = self.chain.make_block(self.pool.apply)
        self.pool.on_block(block)
        return block


@pytest.fixture
def node() -> Generator[PoolOfChain]:
    node = PoolOfChain()
    yield node
    node.chain.close()


def hex_of(block: DevnetBlock) -> str:
    return "0x" + block.hash.hex()


def rejection(node: PoolOfChain, raw: bytes) -> str:
    with pytest.raises(RpcError) as refused:
        node.pool.submit(raw)
    return refused.value.message


def test_an_extrinsic_is_ready_included_and_finalized(node: PoolOfChain) -> None:
    raw = node.submit()
    assert (node.pool.pending(), node.pool.next_nonce(WHO)) == ([raw], 1)
    block = node.make_block()
    assert block.extrinsics[1:] == (raw,)
    assert (len(node.pool), node.pool.next_nonce(WHO)) == (0, 1)
    node.pool.on_finalized(1)
    node.pool.on_finalized(1)
    assert node.statuses[0] == ["ready", {"inBlock": hex_of(block)}, {"finalized": hex_of(block)}]


def test_a_gap_of_nonces_waits_until_it_is_filled(node: PoolOfChain) -> None:
    node.submit(1)
    assert (node.statuses[1], node.pool.pending()) == (["future"], [])
    assert node.pool.next_nonce(WHO) == 0
    assert node.make_block().extrinsics[1:] == ()
    first = node.submit(0)
    assert node.statuses == {0: ["ready"], 1: ["future", "ready"]}
    assert node.pool.pending()[0] == first
    assert len(node.make_block().extrinsics) == 3
    assert node.pool.max_pending_per_signer == 2


def test_signers_take_turns_in_order_of_arrival(node: PoolOfChain) -> None:
    for nonce in (0, 1):
        node.submit(nonce)
    others = [node.raw(nonce, seed=OTHER) for nonce in (0, 1)]
    for raw in others:
        node.pool.submit(raw)
    assert node.pool.pending()[1::2] == others


def test_only_a_higher_tip_replaces_an_extrinsic(node: PoolOfChain) -> None:
    raw = node.submit(tip=5)
    assert rejection(node, raw) == "Transaction Already Imported"
    for tip in (4, 5):
        assert rejection(node, node.raw(tip=tip)).startswith(f"Priority is too low: ({tip} vs 5)")
    better = node.raw(tip=6)
    hash_ = node.pool.submit(better)
    assert node.statuses[0] == ["ready", {"usurped": "0x" + hash_.hex()}]
    assert node.pool.pending() == [better]


def test_invalid_extrinsics_are_rejected(node: PoolOfChain) -> None:
    assert "invalid format" in rejection(node, b"\x04\x04")
    node.submit()
    node.make_block()
    assert rejection(node, node.raw(0)) == "Invalid Transaction"


def test_a_full_pool_accepts_replacements_only(
    node: PoolOfChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_pool, "MAX_POOL_EXTRINSICS", 1)
    node.submit()
    assert rejection(node, node.raw(1)) == "Immediately Dropped"
    node.submit(0, tip=1)
    assert len(node.pool) == 1


def test_a_block_has_a_maximum_of_extrinsics(
    node: PoolOfChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_pool, "MAX_EXTRINSICS_PER_BLOCK", 2)
    for nonce in range(3):
        node.submit(nonce)
    assert [len(node.make_block().extrinsics) for _ in range(2)] == [3, 2]


def test_an_extrinsic_that_became_invalid_is_dropped(node: PoolOfChain) -> None:
    node.submit()
    node.submit(1)
    poor = {**node.chain.state_at_hash(None).get("System", "Account", WHO)}
    poor["data"] = {**poor["data"], "free": 0}
    node.chain.schedule_change(lambda draft: draft.put("System", "Account", WHO, poor))
    assert node.make_block().extrinsics[1:] == ()
    assert node.statuses[0] == ["ready", "invalid"]
    assert node.pool.next_nonce(WHO) == 0


def test_a_nonce_that_another_extrinsic_used_is_dropped(node: PoolOfChain) -> None:
    node.submit(1)
    account = node.chain.state_at_hash(None).get("System", "Account", WHO)
    used = {**account, "nonce": 2}
    node.chain.schedule_change(lambda draft: draft.put("System", "Account", WHO, used))
    node.make_block()
    assert (node.statuses[1], len(node.pool)) == (["future", "invalid"], 0)


def test_a_retracted_extrinsic_is_included_again(node: PoolOfChain) -> None:
    raw = node.submit()
    lost = node.make_block()
    node.submit(1)
    node.pool.on_retracted(node.chain.rewind(1))
    assert (list(node.pool.applied), node.pool.next_nonce(WHO)) == ([], 2)
    again = node.make_block()
    assert again.extrinsics[1] == raw
    assert node.statuses[0] == [
        "ready",
        {"inBlock": hex_of(lost)},
        {"retracted": hex_of(lost)},
        "ready",
        {"inBlock": hex_of(again)},
    ]
    node.pool.on_finalized(1)
    assert node.statuses[0][-1] == {"finalized": hex_of(again)}


def test_a_retracted_finalized_extrinsic_returns_silently(node: PoolOfChain) -> None:
    raw = node.submit()
    node.make_block()
    node.pool.on_finalized(1)
    status_count = len(node.statuses[0])
    node.pool.on_retracted(node.chain.rewind(1))
    assert node.make_block().extrinsics[1:] == (raw,)
    assert len(node.statuses[0]) == status_count


def test_a_block_that_is_never_finalized_times_out(
    node: PoolOfChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_pool, "_FINALITY_TIMEOUT_BLOCKS", 2)
    node.submit()
    block = node.make_block()
    node.make_block()
    assert node.statuses[0][-1] == {"inBlock": hex_of(block)}
    node.make_block()
    assert node.statuses[0][-1] == {"finalityTimeout": hex_of(block)}


def test_dropped_extrinsics_are_reported(node: PoolOfChain) -> None:
    node.submit()
    node.submit(2)
    assert node.pool.drop_all() == 2
    assert node.statuses == {0: ["ready", "dropped"], 2: ["future", "dropped"]}
    assert (len(node.pool), node.pool.drop_all()) == (0, 0)


def test_the_fee_needs_an_extrinsic_but_no_valid_signature(node: PoolOfChain) -> None:
    raw = bytearray(node.raw())
    raw[40] ^= 1
    assert node.pool.fee(bytes(raw)) > 0
    with pytest.raises(ValueError, match="not an extrinsic"):
        node.pool.fee(b"\x04\x04")
