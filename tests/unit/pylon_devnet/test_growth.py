"""However long a devnet runs and whatever it is asked, it holds no more than it promises."""

import os
from pathlib import Path
from typing import Any

import pytest

from pylon_devnet.block import seal_block
from pylon_devnet.block_store import BlockStore
from pylon_devnet.codec import sr25519_address
from pylon_devnet.controls import Controls
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.node_rpc import RuntimeCallCache
from pylon_devnet.request_log import MAX_COUNTED_METHODS, RequestLog

TEMPO_BLOCKS = 25
# Whole epochs, so that the same number of epochs is in what is kept each time.
STAGE_BLOCKS = 3 * TEMPO_BLOCKS


def _versions_in_excess(node: Controls) -> int:
    history = node.chain.history
    return sum(1 for _ in history.versions()) - len(history)


def test_what_is_held_does_not_grow_with_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    # The chain's own 2400 would take thousands of blocks to be reached.
    monkeypatch.setattr("pylon_devnet.simulated_chain._BLOCK_HASH_COUNT", 50)
    node = Controls(DevnetOptions(keep_blocks=40, tempo_blocks=TEMPO_BLOCKS))
    excess: list[int] = []
    remembered: list[int] = []
    for _ in range(5):
        for _ in range(STAGE_BLOCKS):
            node._make_block()
        excess.append(_versions_in_excess(node))
        remembered.append(len(node.chain._storage._keys) + len(node.chain._storage._decoded))
    node.chain.close()
    assert max(excess) < 1.1 * min(excess), excess
    assert max(remembered) < min(remembered) + STAGE_BLOCKS // 2, remembered


def test_nothing_is_remembered_of_what_is_deleted() -> None:
    node = Controls(DevnetOptions(active=False, keep_blocks=1))
    account = node.chain.state_at_hash(None).get("System", "Account", sr25519_address(b"n" * 32))
    remembered: list[int] = []
    for number in range(10):
        name = ("System", "Account", sr25519_address(bytes([number]) * 32))
        node.chain.schedule_change(lambda draft, name=name: draft.put(*name, account))
        node._make_block()
        assert node.chain.state_at_hash(None).get(*name) == account
        node.chain.schedule_change(lambda draft, name=name: draft.delete(*name))
        node._make_block()
        remembered.append(len(node.chain._storage._decoded))
    node.chain.close()
    assert remembered == remembered[:1] * 10


def _bytes_in_files_without_a_name() -> int:
    files = [path.stat() for path in Path("/proc/self/fd").iterdir() if path.is_file()]
    return sum(file.st_size for file in files if file.st_nlink == 0)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="sees files without a name in /proc")
def test_without_a_folder_old_blocks_leave_memory_and_can_be_read() -> None:
    extrinsic_bytes, blocks = 100_000, 100
    before_bytes = _bytes_in_files_without_a_name()
    store = BlockStore(None)
    parent = None
    hashes: list[bytes] = []
    for _ in range(blocks):
        block = seal_block(parent, {}, (os.urandom(extrinsic_bytes),), None)
        store.add(block, {}, ())
        parent = block.header
        hashes.append(block.hash)
    on_disk_bytes = _bytes_in_files_without_a_name() - before_bytes
    first = store.block(0)
    store.close()
    assert on_disk_bytes > 0.7 * extrinsic_bytes * blocks
    assert first is not None
    assert first.hash == hashes[0]
    assert len(first.extrinsics[0]) == extrinsic_bytes


def test_many_short_answers_weigh_more_than_their_text() -> None:
    cache = RuntimeCallCache(100 * 1024)
    for number in range(1000):
        cache.put(("Api_method", f"{number:08x}", b""), ((number,), "0x00"))
    held = [number for number in range(1000) if cache.get(("Api_method", f"{number:08x}", b""))]
    assert held == list(range(1000 - len(held), 1000)), "the least used went first"
    assert 50 < len(held) <= 100


def test_the_log_of_requests_is_bounded_whatever_is_asked() -> None:
    log = RequestLog()
    log.add("state_queryStorageAt", [["0x" + "ab" * 500] * 1000, "0x" + "cd" * 5000, None, 7])
    ((keys, text, *rest),) = (record.params for record in log.records())
    assert (len(keys), {len(key) for key in keys}, len(text), rest) == (8, {256}, 256, [None, 7])
    for number in range(2 * MAX_COUNTED_METHODS):
        log.add(f"invented_{number}")
    log.add("state_queryStorageAt")
    assert len(log.counts()) == MAX_COUNTED_METHODS
    assert log.counts()["state_queryStorageAt"] == 2


@pytest.mark.parametrize(
    "wrong",
    [{"block_time_s": 0.01}, {"keep_blocks": 0}, {"tempo_blocks": 0}, {"neurons": 8}],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"block|past state|tempo|neurons"):
        DevnetOptions(**wrong)
