"""Keys through the SDK: opening a hotkey's file, and key pairs; nothing here knows of coldkeys."""

from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, cast

from bittensor import keyfiles

from pylon.common.signer import Signer

_WrongPasswordError: Final = cast("type[Exception]", cast("Any", keyfiles).WrongPasswordError)
_CRYPTO_TYPE_ED25519: Final = 0
"""In the SDK's numbering of kinds of keys."""


class HotkeyProblem(StrEnum):
    """Why a hotkey cannot be used, in a word; the label of a metric."""

    NOT_CONFIGURED = "not_configured"
    UNREADABLE = "unreadable"
    ENCRYPTED = "encrypted"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 -- names no password
    BROKEN = "broken"
    PUBLIC_ONLY = "public_only"
    OTHER_HOTKEY = "other_hotkey"


class HotkeyError(Exception):
    """Why a hotkey cannot be used; the text names the file, and never what is in it.

    Attributes:
        problem: the same in a word.
        cause: the text without the remedy.
        remedy: what to do about it; empty where that depends on who uses the file.
    """

    def __init__(self, problem: HotkeyProblem, cause: str, remedy: str = "") -> None:
        super().__init__(f"{cause}; {remedy}" if remedy else cause)
        self.problem = problem
        self.cause = cause
        self.remedy = remedy


class _Keyfile(Protocol):
    def is_encrypted(self) -> bool: ...
    def get_keypair(self, password: str | None = None) -> Any: ...


def open_hotkey(
    wallets_folder: Path, wallet_name: str, hotkey_name: str, password: str = ""
) -> Signer:
    """The hotkey in a folder of wallets, in the layout of btcli.

    Args:
        wallets_folder: the folder; `~` is the home folder.
        wallet_name: a wallet's name.
        hotkey_name: a hotkey's name.
        password: opens an encrypted file.

    Raises:
        HotkeyError: it is missing, unreadable, encrypted or without its private half, or the
            password is wrong.
    """
    path = wallets_folder.expanduser() / wallet_name / "hotkeys" / hotkey_name
    keyfile = cast("_Keyfile", keyfiles.Keyfile(path))
    try:
        path.read_bytes()
    except OSError as error:
        raise HotkeyError(
            HotkeyProblem.UNREADABLE, f"the hotkey {path} cannot be read: {error.strerror}"
        ) from None
    # The SDK would ask at the terminal for what is not given.
    if keyfile.is_encrypted() and not password:
        raise HotkeyError(
            HotkeyProblem.ENCRYPTED,
            f"the hotkey {path} is encrypted, and no password is set for it",
        )
    try:
        pair = keyfile.get_keypair(password=password or None)
    except _WrongPasswordError:
        raise HotkeyError(
            HotkeyProblem.WRONG_PASSWORD, f"the password of the hotkey {path} is wrong"
        ) from None
    except Exception as error:  # noqa: BLE001 -- of many kinds, whose texts may quote the file
        raise HotkeyError(
            HotkeyProblem.BROKEN, f"the hotkey {path} cannot be opened: {type(error).__name__}"
        ) from None
    try:
        pair.sign(b"")
    except ValueError:
        raise HotkeyError(
            HotkeyProblem.PUBLIC_ONLY,
            f"the file {path} holds the public half of the hotkey alone, which cannot sign",
        ) from None
    return cast("Signer", pair)


def ed25519_public_key(private_key: bytes) -> bytes:
    """The public half of an Ed25519 key pair whose private half is 32 bytes."""
    pair: Any = cast("Any", keyfiles).Keypair.create_from_seed(
        private_key, crypto_type=_CRYPTO_TYPE_ED25519
    )
    return bytes(pair.public_key)
