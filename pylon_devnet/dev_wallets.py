"""Wallet folders of the ready-made validators, in the layout that btcli and the SDK read."""

from pathlib import Path

from pylon_devnet.codec import keyfile, public_keyfile
from pylon_devnet.population import dev_coldkey_seed, dev_hotkey_seed

OWNER_ONLY = 0o600


def write_wallet(folder: Path, name: str, hotkey_name: str) -> None:
    """Write the wallet of a ready-made validator: its hotkey, and the public half of its coldkey.

    What is there is replaced. The keys are public knowledge, and so unencrypted.

    Args:
        folder: where the wallets are; each is a folder of its own, named as it is.
        name: of the validator, such as `sn1`.
        hotkey_name: the name of the hotkey's file.
    """
    hotkeys = folder / name / "hotkeys"
    hotkeys.mkdir(parents=True, exist_ok=True)
    for path, data in (
        (hotkeys / hotkey_name, keyfile(dev_hotkey_seed(name))),
        (folder / name / "coldkeypub.txt", public_keyfile(dev_coldkey_seed(name))),
    ):
        path.touch(mode=OWNER_ONLY)
        path.write_bytes(data)
