"""Read the state of a devnet's chain from its folder after the devnet has ended."""

from dataclasses import dataclass
from pathlib import Path

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.extrinsics import parse_extrinsic


@dataclass(frozen=True)
class ChainExtrinsic:
    """An extrinsic in a block of the chain.

    Attributes:
        block: number of the block.
        hash: hash of the extrinsic, hexadecimal with 0x.
        signer: ss58 address of the signer.
        succeeded: whether its call succeeded.
    """

    block: int
    hash: str
    signer: str
    succeeded: bool


def chain_extrinsics(options: DevnetOptions) -> list[ChainExtrinsic]:
    """Return every signed extrinsic of the chain in `options.state`, oldest first."""
    devnet = Devnet(options)
    found: list[ChainExtrinsic] = []
    try:
        for number in range(1, devnet.best_number + 1):
            hash_ = devnet.chain.hash(number)
            block = None if hash_ is None else devnet.chain.block(hash_)
            assert block is not None
            if len(block.extrinsics) == 1:
                continue  # only the extrinsic that sets the timestamp
            good = {
                event["extrinsic_idx"]
                for event in devnet.events(number)
                if event["event_id"] == "ExtrinsicSuccess"
            }
            for index, raw in enumerate(block.extrinsics[1:], start=1):
                extrinsic = parse_extrinsic(raw)
                text = "0x" + extrinsic.hash.hex()
                found.append(ChainExtrinsic(number, text, extrinsic.signer, index in good))
    finally:
        devnet.chain.close()
    return found


def epoch_starts(options: DevnetOptions, netuid: int) -> dict[int, int]:
    """Return the first block of every past epoch of a subnet, and its timestamp in ms."""
    devnet = Devnet(options)
    try:
        states = map(devnet.chain.state_at_number, range(1, devnet.best_number + 1))
        return {
            state.get("SubtensorModule", "LastEpochBlock", netuid): state.get("Timestamp", "Now")
            for state in reversed([*states])
        }
    finally:
        devnet.chain.close()


def options_of(folder: Path, *, keep_blocks: int, tempo_blocks: int) -> DevnetOptions:
    """Return the options to read the chain in a folder, without making more blocks."""
    return DevnetOptions(
        port=0, state=folder, autostart=False, keep_blocks=keep_blocks, tempo_blocks=tempo_blocks
    )
