"""The devnet's ready-made identities: their settings, and the wallets that belong to them."""

from pathlib import Path

from pylon.devnet.population import IDENTITIES
from pylon.devnet.wallets import write_wallets

WALLETS_FOLDER = "wallets"
HOTKEY_NAME = "default"


def token(identity: str) -> str:
    """The token of a devnet identity; it is public, as all of the devnet is."""
    return f"devnet-{identity}-token"


def environment(home: Path, devnet_url: str) -> dict[str, str]:
    """The settings under which worker and bridge serve the devnet, which has made its wallets.

    They win over the user's own, which are about another chain.
    """
    names = ",".join(f'"{name}"' for name in IDENTITIES)
    wallets = home / WALLETS_FOLDER
    write_wallets(wallets, HOTKEY_NAME)
    settings = {
        "PYLON_BITTENSOR_NETWORK": devnet_url,
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": devnet_url,
        "PYLON_BITTENSOR_WALLET_PATH": str(wallets.absolute()),
        "PYLON_OPEN_ACCESS_TOKEN": "",
        "PYLON_IDENTITIES": f"[{names}]",
    }
    for name, netuid in IDENTITIES.items():
        prefix = f"PYLON_ID_{name.upper()}"
        settings |= {
            f"{prefix}_NETUID": str(netuid),
            f"{prefix}_TOKEN": token(name),
            f"{prefix}_WALLET_NAME": name,
            f"{prefix}_HOTKEY_NAME": HOTKEY_NAME,
        }
    return settings
