"""Hotkey files and key pairs of the SDK; coldkeys are never opened."""

from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, cast

from bittensor import keyfiles

from pylon.common.signer import Signer

_WrongPasswordError: Final = cast("type[Exception]", cast("Any", keyfiles).WrongPasswordError)
_CRYPTO_TYPE_ED25519: Final = 0
"""Number of Ed25519 in the SDK's crypto types."""


class HotkeyProblem(StrEnum):
    """Why a hotkey cannot be used; also a metric label."""

    NOT_CONFIGURED = "not_configured"
    UNREADABLE = "unreadable"
    ENCRYPTED = "encrypted"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 -- names no password
    BROKEN = "broken"
    PUBLIC_ONLY = "public_only"
    OTHER_HOTKEY = "other_hotkey"


class HotkeyError(Exception):
    """A hotkey cannot be used; the text names the file, without its content.

    Attributes:
        problem: code of the problem.
        cause: the text without the remedy.
        remedy: the remedy; empty if it depends on the caller.
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
    """Open a hotkey in a folder of wallets, in the layout of btcli.

    Args:
        wallets_folder: the folder; `~` is the home folder.
        wallet_name: a wallet's name.
        hotkey_name: a hotkey's name.
        password: password of an encrypted file.

    Raises:
        HotkeyError: the file is missing, unreadable, encrypted or without a private key, or the
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
    # Without a password, the SDK would prompt on the terminal.
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
    except Exception as error:  # noqa: BLE001 -- any error; its text may quote the file
        raise HotkeyError(
            HotkeyProblem.BROKEN, f"the hotkey {path} cannot be opened: {type(error).__name__}"
        ) from None
    try:
        pair.sign(b"")
    except ValueError:
        raise HotkeyError(
            HotkeyProblem.PUBLIC_ONLY,
            f"the file {path} contains only the public key of the hotkey, which cannot sign",
        ) from None
    return cast("Signer", pair)


def ed25519_public_key(private_key: bytes) -> bytes:
    """Return the public key of an Ed25519 private key of 32 bytes."""
    pair: Any = cast("Any", keyfiles).Keypair.create_from_seed(
        private_key, crypto_type=_CRYPTO_TYPE_ED25519
    )
    return bytes(pair.public_key)
