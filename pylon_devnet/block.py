"""Blocks and their headers, with the hashes that Substrate gives them."""

from dataclasses import dataclass
from typing import Any

from pylon_devnet.codec import blake2b_256
from pylon_devnet.runtime.scale_encoding import encode_bytes, encode_compact, encode_vector

AURA = b"aura"
_PRE_RUNTIME = 6
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """A block header.

    Attributes:
        parent: hash of the block before; 32 zero bytes for genesis.
        number: the height.
        state_root: commits to the state; here a chain of hashes, not a trie.
        extrinsics_root: commits to the extrinsics.
        slot: the Aura slot the block was made in, or None for genesis.
    """

    parent: bytes
    number: int
    state_root: bytes
    extrinsics_root: bytes
    slot: int | None

    def encode(self) -> bytes:
        """The SCALE bytes that the block's hash is taken of."""
        return (
            self.parent
            + encode_compact(self.number)
            + self.state_root
            + self.extrinsics_root
            + encode_vector(self._digest())
        )

    def hash(self) -> bytes:
        """The block's hash."""
        return blake2b_256(self.encode())

    def as_json(self) -> dict[str, Any]:
        """The header as JSON-RPC shows it."""
        return {
            "parentHash": _hex(self.parent),
            "number": hex(self.number),
            "stateRoot": _hex(self.state_root),
            "extrinsicsRoot": _hex(self.extrinsics_root),
            "digest": {"logs": [_hex(item) for item in self._digest()]},
        }

    def _digest(self) -> list[bytes]:
        if self.slot is None:
            return []
        return [bytes([_PRE_RUNTIME]) + AURA + encode_bytes(self.slot.to_bytes(8, "little"))]


@dataclass(frozen=True, slots=True)
class DevnetBlock:
    """A block with its body.

    Attributes:
        hash: of the header.
        header: the header.
        extrinsics: whole extrinsics, length prefix included, in order; the first is the inherent
            that sets the time.
    """

    hash: bytes
    header: BlockHeader
    extrinsics: tuple[bytes, ...]

    @property
    def number(self) -> int:
        """The height."""
        return self.header.number

    def as_json(self) -> dict[str, Any]:
        """The block as `chain_getBlock` shows it."""
        body = [_hex(extrinsic) for extrinsic in self.extrinsics]
        return {
            "block": {"header": self.header.as_json(), "extrinsics": body},
            "justifications": None,
        }


def seal_block(
    parent: BlockHeader | None,
    changes: dict[bytes, bytes | None],
    extrinsics: tuple[bytes, ...],
    slot: int | None,
    salt: bytes = b"",
) -> DevnetBlock:
    """The block that follows `parent` (None: genesis) with these changes of state.

    Args:
        parent: header of the block before.
        changes: what the block changes in the state.
        extrinsics: its body.
        slot: its Aura slot.
        salt: makes otherwise equal blocks differ: the genesis of two metadata, or two forks.
    """
    state = b"".join(
        encode_bytes(key) + (b"\x00" if value is None else b"\x01" + encode_bytes(value))
        for key, value in sorted(changes.items(), key=lambda change: change[0])
    )
    before = bytes(_HASH_BYTES) if parent is None else parent.state_root
    header = BlockHeader(
        parent=bytes(_HASH_BYTES) if parent is None else parent.hash(),
        number=0 if parent is None else parent.number + 1,
        state_root=blake2b_256(before + salt + state),
        extrinsics_root=blake2b_256(encode_vector(extrinsics)),
        slot=slot,
    )
    return DevnetBlock(header.hash(), header, extrinsics)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
