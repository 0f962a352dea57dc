"""Blocks and headers, hashed as in Substrate."""

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
        parent: hash of the parent block; 32 zero bytes for genesis.
        number: block number.
        state_root: commitment to the state: a hash chain, not a trie.
        extrinsics_root: commitment to the extrinsics.
        slot: Aura slot of the block; None for genesis.
    """

    parent: bytes
    number: int
    state_root: bytes
    extrinsics_root: bytes
    slot: int | None

    def encode(self) -> bytes:
        """Return the SCALE bytes that are hashed."""
        return (
            self.parent
            + encode_compact(self.number)
            + self.state_root
            + self.extrinsics_root
            + encode_vector(self._digest())
        )

    def hash(self) -> bytes:
        """Return the hash of the block."""
        return blake2b_256(self.encode())

    def as_json(self) -> dict[str, Any]:
        """Return the header as in JSON-RPC."""
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
        hash: hash of the header.
        header: the header.
        extrinsics: extrinsics with length prefix, in order; the first is the timestamp inherent.
    """

    hash: bytes
    header: BlockHeader
    extrinsics: tuple[bytes, ...]

    @property
    def number(self) -> int:
        """The block number."""
        return self.header.number

    def as_json(self) -> dict[str, Any]:
        """Return the block as in `chain_getBlock`."""
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
    """Create the block after `parent`, or genesis if it is None.

    Args:
        parent: header of the parent block.
        changes: changed storage values by key; None deletes.
        extrinsics: extrinsics of the block.
        slot: Aura slot of the block.
        salt: distinguishes otherwise equal blocks: the genesis of two metadata, or two forks.
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
