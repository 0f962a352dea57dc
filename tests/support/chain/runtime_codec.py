"""The SDK's codec of the devnet's runtime."""

from typing import Final

from bittensor._transport.codec import RuntimeCodec

from pylon_devnet.runtime.runtime_metadata import build_metadata

RUNTIME_CODEC: Final = RuntimeCodec(
    build_metadata(slot_duration_ms=12_000).encoded, spec_version=1, transaction_version=1
)
