"""Sign extrinsics without a node, for unit tests of the devnet."""

from typing import Any

import bittensor_core

from pylon_devnet.simulated_chain import DevnetChain

_core: Any = bittensor_core  # of Rust, without types


def signed(
    chain: DevnetChain, seed: bytes, call: tuple[str, str, dict[str, Any]], nonce: int, tip: int = 0
) -> bytes:
    """Return an immortal extrinsic, signed with the sr25519 key of a seed."""
    keypair: Any = _core.Keypair.create_from_seed(seed)
    runtime: Any = chain.codec._runtime
    encoded = chain.codec.compose_call(*call)
    shared = {"era": "00", "nonce": nonce, "tip": tip, "tip_asset_id": None}
    payload = runtime.signature_payload(
        encoded,
        **shared,
        genesis_hash=chain.genesis_hash,
        era_block_hash=chain.genesis_hash,
        metadata_hash=None,
    )
    data, _ = runtime.encode_signed_extrinsic(
        encoded,
        public_key=bytes(keypair.public_key),
        signature=bytes(keypair.sign(bytes(payload))),
        signature_version=1,
        metadata_hash_enabled=False,
        **shared,
    )
    return bytes(data)
