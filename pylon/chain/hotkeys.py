"""Opening a hotkey's file through the SDK; nothing here knows of coldkeys."""

from pathlib import Path
from typing import Any, Protocol, cast

from bittensor.keyfiles import Keyfile

from pylon.chain.writes import Signer


class HotkeyError(Exception):
    """Why a hotkey cannot be used; the text names the file, and never what is in it."""


class _Keyfile(Protocol):
    def is_encrypted(self) -> bool: ...
    def get_keypair(self, password: str | None = None) -> Any: ...


def open_hotkey(wallets: Path, wallet_name: str, hotkey_name: str, password: str = "") -> Signer:
    """The hotkey in a folder of wallets, in the layout of btcli.

    Args:
        wallets: the folder; `~` is the home folder.
        wallet_name: a wallet's name.
        hotkey_name: a hotkey's name.
        password: opens an encrypted file.

    Raises:
        HotkeyError: it is missing, unreadable or encrypted, or the password is wrong.
    """
    path = wallets.expanduser() / wallet_name / "hotkeys" / hotkey_name
    keyfile = cast("_Keyfile", Keyfile(path))
    try:
        path.read_bytes()
    except OSError as error:
        raise HotkeyError(f"the hotkey {path} cannot be read: {error.strerror}") from None
    # The SDK would ask at the terminal for what is not given.
    if keyfile.is_encrypted() and not password:
        raise HotkeyError(f"the hotkey {path} is encrypted, and no password is set for it")
    try:
        return cast("Signer", keyfile.get_keypair(password=password or None))
    except Exception as error:  # noqa: BLE001 -- of many kinds, whose texts may quote the file
        raise HotkeyError(f"the hotkey {path} cannot be opened: {type(error).__name__}") from None
