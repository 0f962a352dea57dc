"""Timelocked texts, and signatures of the drand beacon that are public."""

from typing import Any

import bittensor_core

from pylon_devnet import Devnet

_core: Any = bittensor_core  # of Rust, without types

ROUND_1000 = (
    "0xb44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125"
    "e342b73a8dd2bacbe47e4b6b63ed5e39"
)
"""The signature that the quicknet published for its round 1000."""


def scale_text(text: str) -> bytes:
    """Return a short text with its SCALE length prefix."""
    data = text.encode()
    assert len(data) < 64, "the prefix of longer texts has more bytes"
    return bytes([len(data) << 2]) + data


def timelocked(plaintext: bytes, drand_round: int = 1000) -> bytes:
    """Return the ciphertext that the chain stores."""
    return bytes(_core.inner_ciphertext(envelope(plaintext, drand_round)))


def envelope(plaintext: bytes, drand_round: int = 1000) -> bytes:
    """Return the portable envelope of the SDK, which holds the ciphertext and the round."""
    data, _ = _core.encrypt_at_round(plaintext, drand_round)
    return bytes(data)


def store_timelocked(devnet: Devnet, netuid: int, hotkey: str, text: str) -> None:
    """Store a timelocked commitment of a future round with the next block."""
    future = 1 << 40
    field = {"encrypted": timelocked(scale_text(text), future), "reveal_round": future}
    info = {"fields": [{"TimelockEncrypted": field}]}
    registration = {"deposit": 0, "block": 1, "info": info}
    devnet.set_storage("Commitments", "CommitmentOf", [netuid, hotkey], registration)
    devnet.set_storage("Commitments", "TimelockedIndex", [], [(netuid, hotkey)])
