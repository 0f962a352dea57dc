"""Opening of the identities' hotkeys; a hotkey that cannot be opened affects one identity only."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pylon.common.deployment_settings import IdentitySettings
from pylon.common.signer import Signer
from pylon.jobs.signer_directory import MAX_CAUSE_CHARS, SignerAnnouncement
from pylon.wallets.hotkeys import HotkeyError, HotkeyProblem, open_hotkey
from pylon_client.contract.types import Hotkey, IdentityName

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedHotkeys:
    """The opened hotkeys of the identities.

    Attributes:
        signers: hotkeys that can sign, by identity.
        problems: error and remedy of the other identities.
    """

    signers: dict[IdentityName, Signer] = field(default_factory=dict[IdentityName, Signer])
    problems: dict[IdentityName, HotkeyError] = field(
        default_factory=dict[IdentityName, HotkeyError]
    )

    @property
    def addresses(self) -> dict[IdentityName, Hotkey]:
        """Return the addresses of the hotkeys that can sign."""
        return {name: Hotkey(signer.ss58_address) for name, signer in self.signers.items()}

    @property
    def announcements(self) -> dict[IdentityName, SignerAnnouncement]:
        """Return the announcement of this worker for each identity."""
        can = {name: SignerAnnouncement(hotkey=hotkey) for name, hotkey in self.addresses.items()}
        cannot = {
            name: SignerAnnouncement(problem=error.problem, cause=str(error)[:MAX_CAUSE_CHARS])
            for name, error in self.problems.items()
        }
        return can | cannot


def open_hotkeys(
    wallets_folder: Path | None, identities: Mapping[IdentityName, IdentitySettings]
) -> OpenedHotkeys:
    """Open the hotkey of each identity, and log each error.

    Coldkeys are never read.

    Args:
        wallets_folder: the folder of wallets, in the layout of btcli; None if not configured.
        identities: settings of the identities by name.
    """
    opened = OpenedHotkeys()
    for name, identity in identities.items():
        try:
            opened.signers[name] = open_identity_hotkey(wallets_folder, identity)
        except HotkeyError as error:
            opened.problems[name] = error
            logger.error("Identity %s cannot write: %s", name, error)  # noqa: TRY400 -- the text is sufficient
    return opened


def open_identity_hotkey(wallets_folder: Path | None, identity: IdentitySettings) -> Signer:
    """Open the hotkey of an identity.

    Raises:
        HotkeyError: it cannot sign; the text contains the reason and the setting to change.
    """
    prefix = identity.env_prefix
    if wallets_folder is None:
        raise HotkeyError(
            HotkeyProblem.NOT_CONFIGURED,
            "no folder of wallets is configured",
            "set PYLON_BITTENSOR_WALLET_PATH",
        )
    if not identity.wallet_name or not identity.hotkey_name:
        raise HotkeyError(
            HotkeyProblem.NOT_CONFIGURED,
            "no hotkey is configured",
            f"set {prefix}WALLET_NAME and {prefix}HOTKEY_NAME",
        )
    try:
        signer = open_hotkey(
            wallets_folder,
            identity.wallet_name,
            identity.hotkey_name,
            identity.hotkey_password.get_secret_value(),
        )
    except HotkeyError as error:
        raise HotkeyError(error.problem, error.cause, _remedy(error.problem, prefix)) from None
    if identity.hotkey_ss58 not in {None, signer.ss58_address}:
        raise HotkeyError(
            HotkeyProblem.OTHER_HOTKEY,
            f"its wallet is that of {signer.ss58_address}, not of {identity.hotkey_ss58}",
            f"correct {prefix}HOTKEY_SS58, {prefix}WALLET_NAME or {prefix}HOTKEY_NAME",
        )
    return signer


def _remedy(problem: HotkeyProblem, prefix: str) -> str:
    match problem:
        case HotkeyProblem.ENCRYPTED:
            return f"set {prefix}HOTKEY_PASSWORD"
        case HotkeyProblem.WRONG_PASSWORD:
            return f"correct {prefix}HOTKEY_PASSWORD"
        case HotkeyProblem.UNREADABLE:
            return (
                f"make it readable, or correct {prefix}WALLET_NAME, {prefix}HOTKEY_NAME or "
                "PYLON_BITTENSOR_WALLET_PATH"
            )
        case _:
            return "put the hotkey's keyfile there"
