"""Wallet folders of the predefined validators, in the layout of btcli and the SDK."""

from pathlib import Path

from pylon_devnet.codec import keyfile, public_keyfile
from pylon_devnet.population import dev_coldkey_seed, dev_hotkey_seed

OWNER_ONLY = 0o600


def write_wallet(folder: Path, name: str, hotkey_name: str) -> None:
    """Write the wallet of a predefined validator: its hotkey and the public key of its coldkey.

    Existing files are replaced. The keys are public, so they are not encrypted.

    Args:
        folder: folder that contains one folder per wallet.
        name: name of the validator, such as `sn1`.
        hotkey_name: name of the hotkey's file.
    """
    hotkeys = folder / name / "hotkeys"
    hotkeys.mkdir(parents=True, exist_ok=True)
    for path, data in (
        (hotkeys / hotkey_name, keyfile(dev_hotkey_seed(name))),
        (folder / name / "coldkeypub.txt", public_keyfile(dev_coldkey_seed(name))),
    ):
        path.touch(mode=OWNER_ONLY)
        path.write_bytes(data)
