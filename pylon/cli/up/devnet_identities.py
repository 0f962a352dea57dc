"""The devnet's predefined identities: their settings and wallets."""

import json
from pathlib import Path

from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import SUBNETS

WALLETS_FOLDER = "wallets"
HOTKEY_NAME = "default"
HEAD_SILENCE_BLOCKS = 3
MIN_HEAD_SILENCE_S = 10.0
"""Minimum head silence, in seconds: a busy laptop may delay short blocks for longer."""
IDENTITIES = {f"sn{subnet.netuid}": subnet.netuid for subnet in SUBNETS}
"""Netuid by identity; the identity's validator is uid 0 of the subnet."""


def identity_token(identity: str) -> str:
    """Return the token of a devnet identity, which is public."""
    return f"devnet-{identity}-token"


def wallets_folder(home: Path) -> Path:
    """Return the folder of the identities' wallets."""
    return (home / WALLETS_FOLDER).absolute()


def write_wallets(home: Path) -> Path:
    """Write a wallet for each identity, and return the folder that holds them."""
    wallets = wallets_folder(home)
    for name in IDENTITIES:
        write_wallet(wallets, name, HOTKEY_NAME)
    return wallets


def devnet_settings(devnet_url: str, wallets: Path, block_time_s: float) -> dict[str, str]:
    """Return the environment with which worker and bridge use the devnet.

    It overrides the user's settings, which are for another chain and its wallets.
    """
    head_silence_s = max(MIN_HEAD_SILENCE_S, HEAD_SILENCE_BLOCKS * block_time_s)
    environment = {
        "PYLON_BLOCK_DURATION_SECONDS": str(block_time_s),
        "PYLON_HEAD_SILENCE_SECONDS": str(head_silence_s),
        "PYLON_BITTENSOR_NETWORK": devnet_url,
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": devnet_url,
        "PYLON_BITTENSOR_WALLET_PATH": str(wallets),
        "PYLON_OPEN_ACCESS_TOKEN": "",
        "PYLON_IDENTITIES": json.dumps(list(IDENTITIES)),
        "PYLON_TRACKED_NETUIDS": "[]",
    }
    for name, netuid in IDENTITIES.items():
        prefix = f"PYLON_ID_{name.upper()}"
        environment |= {
            f"{prefix}_NETUID": str(netuid),
            f"{prefix}_TOKEN": identity_token(name),
            f"{prefix}_WALLET_NAME": name,
            f"{prefix}_HOTKEY_NAME": HOTKEY_NAME,
            f"{prefix}_HOTKEY_SS58": "",
            f"{prefix}_HOTKEY_PASSWORD": "",
        }
    return environment
