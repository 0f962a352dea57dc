import os
from pathlib import Path

import pytest

from pylon_devnet.block import seal_block
from pylon_devnet.block_store import BlockStore


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
