"""The devnet's keys in the forms that the SDK and btcli accept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bittensor.sp_core

from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import dev_coldkey_seed, dev_hotkey_seed

Keypair: Any = bittensor.sp_core.Keypair  # of Rust, without types


@dataclass
class DevWallet:
    """The part of a wallet that the SDK uses: two key pairs and two names."""

    name: str
    hotkey: Any
    coldkey: Any
    hotkey_str: str = "default"

    @property
    def coldkeypub(self) -> Any:
        return self.coldkey


def dev_wallet(name: str, coldkey: str | None = None) -> DevWallet:
    """Return the wallet of a neuron of the devnet, such as `sn1` or `sn1-70`."""
    return DevWallet(
        name,
        Keypair.create_from_seed(dev_hotkey_seed(name)),
        Keypair.create_from_seed(dev_coldkey_seed(coldkey or name)),
    )


def write_dev_wallets(home: Path, *names: str) -> None:
    """Write wallets to the folder that btcli uses if `home` is its HOME."""
    for name in names:
        write_wallet(home / ".bittensor" / "wallets", name, "default")
