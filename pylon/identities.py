"""The hotkeys that a signer works with; an identity whose hotkey cannot be opened stands alone."""

import logging
from collections.abc import Mapping
from pathlib import Path

from pylon.chain.hotkeys import HotkeyError, open_hotkey
from pylon.chain.writes import Signer
from pylon_client.contract.types import IdentityName
from pylon_client.deployment import IdentitySettings

logger = logging.getLogger(__name__)


def open_hotkeys(
    wallets: Path | None, identities: Mapping[IdentityName, IdentitySettings]
) -> dict[IdentityName, Signer]:
    """The hotkey of each identity; one that cannot be opened is left out, and the log says why.

    Coldkeys are never looked at.
    """
    opened: dict[IdentityName, Signer] = {}
    for name, identity in identities.items():
        prefix = identity.env_prefix
        if wallets is None:
            logger.error("Identity %s cannot write: PYLON_BITTENSOR_WALLET_PATH is not set", name)
        elif not identity.wallet_name or not identity.hotkey_name:
            logger.error(
                "Identity %s cannot write: set %sWALLET_NAME and %sHOTKEY_NAME",
                name,
                prefix,
                prefix,
            )
        else:
            try:
                opened[name] = open_hotkey(
                    wallets,
                    identity.wallet_name,
                    identity.hotkey_name,
                    identity.hotkey_password.get_secret_value(),
                )
            except HotkeyError as error:
                logger.error("Identity %s cannot write: %s", name, error)  # noqa: TRY400 -- its text says all
    return opened
