"""The public addresses of the identities' hotkeys, for which no key is needed.

`docs/adr/0004-public-addresses.md` says why they are looked for in this order.
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
    """The address of an identity's hotkey is not known.

    Attributes:
        cause: why.
        remedy: what to do about it.
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
    """Return the address of each identity's hotkey, without one that is not known; log why.

    Args:
        wallets_folder: the folder of wallets.
        identities: whose addresses.
        opened: those of hotkeys that this worker has opened, such as encrypted ones.
    """
    known: dict[IdentityName, Hotkey] = {}
    for name, identity in identities.items():
        try:
            known[name] = resolve_address(wallets_folder, identity)
        except AddressError as error:
            if name in opened:
                known[name] = opened[name]
            else:
                logger.warning("Identity %s: its own reads will fail: %s", name, error)
    return known


def resolve_address(wallets_folder: Path | None, identity: IdentitySettings) -> Hotkey:
    """The address of an identity's hotkey: as the settings say it, or as its wallet does.

    Raises:
        AddressError: neither says it.
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
    # The file may hold the secret half too: nothing but the address leaves this function.
    try:
        content: Any = json.loads(keyfile.read_bytes())
    except ValueError:
        raise ValueError("it is encrypted, or no keyfile") from None
    address = (
        cast("dict[str, Any]", content).get("ss58Address") if isinstance(content, dict) else None
    )
    if not isinstance(address, str) or not is_address(address):
        raise ValueError("it names no address")
    return Hotkey(address)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _join_problems(problems: Iterable[str]) -> str:
    return "; ".join(problems)
