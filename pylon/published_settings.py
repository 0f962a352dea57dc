"""Settings of the published service that are none here: whoever still has them is told so."""

import logging
from collections.abc import Mapping
from typing import Final

from pylon_client.environment import PREFIX, EnvironmentSettings

logger = logging.getLogger(__name__)

_WHAT_TO_DO: Final[Mapping[str, str]] = {
    "recent_objects_netuids": "set PYLON_TRACKED_NETUIDS instead",
    "evm_rpc_url": "Pylon asks no EVM node",
    "evm_archive_rpc_url": "Pylon asks no EVM node",
}


class PublishedSettings(EnvironmentSettings):
    """Settings of the published service that change nothing here.

    Attributes:
        recent_objects_netuids: changes nothing; set `PYLON_TRACKED_NETUIDS` instead.
        evm_rpc_url: changes nothing; Pylon asks no EVM node.
        evm_archive_rpc_url: the same.
    """

    recent_objects_netuids: str | None = None
    evm_rpc_url: str | None = None
    evm_archive_rpc_url: str | None = None


def warn_of_published_settings() -> None:
    """Log a line for each of them that is set, without its value, which may hold a key."""
    for name in PublishedSettings().model_dump(exclude_none=True):
        logger.warning("%s%s changes nothing: %s", PREFIX, name.upper(), _WHAT_TO_DO[name])
