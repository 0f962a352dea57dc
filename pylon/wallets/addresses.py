"""The public addresses of the identities' hotkeys, without access to their keys.

`docs/adr/0004-public-addresses.md` explains the order of the sources.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from pylon.common.deployment_settings import IdentitySettings
from pylon_client.contract.ss58 import is_address
from pylon_client.contract.types import Hotkey, IdentityName

logger = logging.getLogger(__name__)


class AddressError(Exception):
    """The address of an identity's hotkey is unknown.

    Attributes:
        cause: the reason.
        remedy: the remedy for the operator.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


def resolve_addresses(
    wallets_folder: Path | None,
    identities: Mapping[IdentityName, IdentitySettings],
    *,
    opened: Mapping[IdentityName, Hotkey],
) -> dict[IdentityName, Hotkey]:
    """Return the addresses of the identities' hotkeys, and log each unknown one.

    Args:
        wallets_folder: the folder of wallets; None if not configured.
        identities: settings of the identities by name.
        opened: addresses of hotkeys that this worker has opened, including encrypted ones.
    """
    known: dict[IdentityName, Hotkey] = {}
    for name, identity in identities.items():
        try:
            known[name] = resolve_address(wallets_folder, identity)
        except AddressError as error:
            if name in opened:
                known[name] = opened[name]
            else:
                logger.warning("Unknown hotkey address of identity %s: %s", name, error)
    return known


def resolve_address(wallets_folder: Path | None, identity: IdentitySettings) -> Hotkey:
    """Return the address of an identity's hotkey, from the settings or from its wallet.

    Raises:
        AddressError: neither contains it.
    """
    if identity.hotkey_ss58:
        return identity.hotkey_ss58
    variable = f"{identity.env_prefix}HOTKEY_SS58"
    if wallets_folder is None or not identity.wallet_name or not identity.hotkey_name:
        remedy = f"set {variable}, or the wallet's path, name and hotkey"
        raise AddressError("no wallet is configured", remedy)
    folder = wallets_folder.expanduser() / identity.wallet_name / "hotkeys"
    public, whole = folder / f"{identity.hotkey_name}pub.txt", folder / identity.hotkey_name
    problems: list[str] = []
    for path in (public, whole):
        try:
            return _read_address(path)
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {_reason(error)}")
    raise AddressError(_join_problems(problems), f"make one of them readable, or set {variable}")


def _read_address(keyfile: Path) -> Hotkey:
    # The file may contain the private key too: only the address leaves this function.
    try:
        content: Any = json.loads(keyfile.read_bytes())
    except ValueError:
        raise ValueError("it is encrypted, or not a keyfile") from None
    address = (
        cast("dict[str, Any]", content).get("ss58Address") if isinstance(content, dict) else None
    )
    if not isinstance(address, str) or not is_address(address):
        raise ValueError("it contains no address")
    return Hotkey(address)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _join_problems(problems: Iterable[str]) -> str:
    return "; ".join(problems)
