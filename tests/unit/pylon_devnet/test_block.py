"""Blocks and their hashes."""

from dataclasses import replace

import pytest

from pylon_devnet.block import DevnetBlock, seal_block
from pylon_devnet.codec import blake2b_256

GENESIS = seal_block(None, {b"key": b"value"}, (), None, b"salt")


def child(**changes: object) -> DevnetBlock:
    given: dict[str, object] = {"changes": {b"key": b"new"}, "extrinsics": (b"x",), "slot": 5}
    return seal_block(GENESIS.header, **(given | changes))  # type: ignore[arg-type]


def test_genesis_has_no_parent_and_no_slot() -> None:
    assert (GENESIS.number, GENESIS.header.parent) == (0, bytes(32))
    assert GENESIS.header.as_json()["digest"] == {"logs": []}


def test_a_block_follows_its_parent() -> None:
    block = child()
    assert block.number == 1
    assert block.header.parent == GENESIS.hash
    assert block.hash == block.header.hash() == blake2b_256(block.header.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"changes": {b"key": None}},
        {"changes": {b"key": b""}},
        {"changes": {b"ke": b"ynew"}},
        {"changes": {}},
        {"extrinsics": (b"y",)},
        {"extrinsics": (b"x", b"")},
        {"slot": 6},
        {"slot": None},
        {"salt": b"a"},
    ],
)
def test_the_hash_covers_everything(change: dict[str, object]) -> None:
    assert child(**change).hash != child().hash


def test_the_order_of_changes_does_not_matter() -> None:
    one, other = {b"a": b"1", b"b": None}, {b"b": None, b"a": b"1"}
    assert child(changes=one).hash == child(changes=other).hash


def test_the_state_root_depends_on_all_blocks_before() -> None:
    other = seal_block(None, {b"key": b"other"}, (), None, b"salt")
    same_changes = seal_block(other.header, {b"key": b"new"}, (b"x",), 5)
    assert same_changes.header.state_root != child().header.state_root


def test_json_has_hexadecimal_numbers_and_hashes() -> None:
    header = replace(child().header, number=258)
    block = DevnetBlock(header.hash(), header, (b"\x01", b"\xff"))
    found = block.as_json()
    assert found["block"]["extrinsics"] == ["0x01", "0xff"]
    assert found["block"]["header"] == header.as_json()
    assert found["justifications"] is None
    assert header.as_json()["number"] == "0x102"
    assert header.as_json()["parentHash"] == "0x" + GENESIS.hash.hex()
    # A pre-runtime digest of Aura with the slot as a little-endian u64.
    slot = "05" + "00" * 7
    assert header.as_json()["digest"]["logs"] == ["0x06" + b"aura".hex() + "20" + slot]
