"""Settings of the operator that `pylon up` overrides, so that they have no effect."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Final

from pylon.common.env_file import read_env_file
from pylon.common.environment_settings import PREFIX
from pylon.common.secret_files import FILE_SUFFIX
from pylon.worker.binding.remedy import HOME_VARIABLE

logger = logging.getLogger(__name__)

_NOT_REPORTED: Final = frozenset(
    {HOME_VARIABLE, "PYLON_BITTENSOR_WALLET_PATH", "BITTENSOR_RUNTIME_CACHE_DIR"}
)
"""Variables without a warning: the home is only made absolute; the image sets the other two."""
_OPTIONS: Final = {
    "PYLON_BRIDGE_HOST": "--host",
    "PYLON_BRIDGE_PORT": "--port",
    "PYLON_NATS_URL": "--nats-port",
}


def overridden_variables(overrides: Mapping[str, str]) -> list[str]:
    """Return the given variables of Pylon whose values are overridden.

    Args:
        overrides: overriding values by variable.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    given = {name.upper(): text for name, text in {**read_env_file(), **os.environ}.items()}
    return [
        name
        for name, text in sorted(given.items())
        if (variable := name.removesuffix(FILE_SUFFIX)) in overrides
        and variable.startswith(PREFIX)
        and variable not in _NOT_REPORTED
        and text
        and text != overrides[variable]
    ]


def warn_of_overridden(names: Iterable[str], command: str) -> None:
    """Log one warning with all overridden variables; values are not shown.

    Args:
        names: names of the variables.
        command: command that overrides them.
    """
    shown = ", ".join(
        f"{name} (option {_OPTIONS[name]})" if name in _OPTIONS else name for name in names
    )
    if shown:
        logger.warning(
            "`%s` overrides these settings; their values have no effect: %s", command, shown
        )
