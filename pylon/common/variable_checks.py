"""Checks of the names of `PYLON_…` variables: unknown, deprecated and without an effect."""

import difflib
import logging
import os
import re
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic_settings import SettingsError

from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.env_file import ENV_FILE_VARIABLE, read_env_file
from pylon.common.environment_settings import DEPRECATED_VARIABLES, PREFIX
from pylon.common.known_variables import IDENTITY_FIELDS, VARIABLES

logger = logging.getLogger(__name__)

IGNORED_VARIABLES: Final[Mapping[str, str]] = {
    "PYLON_RECENT_OBJECTS_NETUIDS": "set PYLON_TRACKED_NETUIDS instead",
    "PYLON_RECENT_OBJECTS_SOFT_LIMIT_BLOCKS": "tracked subnets are read with every block",
    "PYLON_RECENT_OBJECTS_REFRESH_LEAD_BLOCKS": "tracked subnets are read with every block",
    "PYLON_EVM_RPC_URL": "Pylon asks no EVM node",
    "PYLON_EVM_ARCHIVE_RPC_URL": "Pylon asks no EVM node",
    "PYLON_EVM_ARCHIVE_BLOCKS_CUTOFF": "Pylon asks no EVM node",
    "PYLON_OTEL_*": "Pylon exports no traces; its logs have the trace id of each request",
    "PYLON_ENVIRONMENT": "set PYLON_SENTRY_ENVIRONMENT instead",
    "PYLON_DATABASE_PATH": "jobs are stored in NATS; PYLON_HOME is the folder of all state",
    "PYLON_DEBUG": "set PYLON_LOG_LEVEL=DEBUG instead",
    "PYLON_COMMIT_CYCLE_LENGTH": "weights follow the epochs of the chain",
    "PYLON_COMMIT_WINDOW_*": "weights follow the epochs of the chain",
    "PYLON_DOCKER_IMAGE_NAME": "the client starts no containers",
}
"""Variables of the published service that have no effect here; a final `*` is a wildcard."""

SUGGESTION_CUTOFF: Final = 0.8
"""Minimum similarity, from 0 to 1, of a known name that is suggested."""
EXTERNAL_VARIABLES: Final = frozenset(
    {
        ENV_FILE_VARIABLE,
        *("PYLON_BIND", "PYLON_PORT", "PYLON_READERS", "PYLON_WALLETS"),
        *("PYLON_DOMAIN", "PYLON_PROXY_SUBNET"),
    }
)
"""Read when `.env` is searched, and by `docker-compose.yaml` and `compose.tls.yaml`."""
_EXTERNAL_PREFIXES: Final = ("PYLON_CLIENT_", "PYLON_TEST_", "PYLON_FUZZ_")
_IDENTITY_PREFIX: Final = f"{PREFIX}ID_"
_IDENTITY_FIELD_SUFFIX: Final = re.compile(
    f"_({'|'.join(sorted(IDENTITY_FIELDS, key=lambda field: (-len(field), field)))})$"
)
_KUBERNETES_VARIABLE: Final = re.compile(
    r".+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*"
    r"|.+_PORT=(tcp|udp|sctp)://.*"
)
"""Variables that Kubernetes sets for each service `pylon-…` of a namespace."""


def check_variables(settings: DeploymentSettings) -> None:
    """Log a warning for each variable that has no effect or a deprecated name.

    Raises:
        SettingsError: with `PYLON_STRICT_SETTINGS`, a line for each name that Pylon does not know.
    """
    unknown = unknown_variables(settings.identities)
    if unknown and settings.strict_settings:
        raise SettingsError("\n".join(unknown))
    lines = (
        *unknown,
        *deprecated_variables(),
        *ineffective_variables(settings.identities),
    )
    for line in lines:
        logger.warning("%s", line)


def unknown_variables(identities: Iterable[str] = ()) -> list[str]:
    """Return a line for each variable, of the environment and of `.env`, that Pylon does not know.

    Args:
        identities: names of the configured identities; their variables are suggested too.
    """
    own = _identity_variables(identities)
    given = sorted(_read_variables().items())
    return [
        _unknown_variable_line(name, own) for name, text in given if not _is_known(name, text or "")
    ]


def deprecated_variables() -> list[str]:
    """Return a line for each variable that is given under a deprecated name."""
    return [
        f"{name} is deprecated and will be removed: set {DEPRECATED_VARIABLES[name]} instead"
        for name in sorted(_read_variables())
        if name in DEPRECATED_VARIABLES
    ]


def ineffective_variables(identities: Iterable[str]) -> list[str]:
    """Return a line for each known variable that is set and has no effect.

    Such variables belong to the published service, or to identities that are not configured.

    Args:
        identities: names of the configured identities.
    """
    given = sorted(_read_variables().items())
    lines = [
        f"{name} changes nothing: {what_to_do}"
        for name, text in given
        if text and (what_to_do := _ignored_reason(name)) is not None
    ]
    configured = list(identities)
    own = _identity_variables(configured)
    others = {
        _IDENTITY_FIELD_SUFFIX.sub("_…", name): None
        for name, text in given
        if text and name.startswith(_IDENTITY_PREFIX) and _is_known(name, text)
        if name not in own
    }
    names = ", ".join(configured) or "none"
    return lines + [
        f"{prefix} changes nothing: no identity has that name; configured identities: {names}"
        for prefix in others
    ]


def _identity_variables(identities: Iterable[str]) -> set[str]:
    return {
        f"{_IDENTITY_PREFIX}{name.upper().replace('-', '_')}_{field}"
        for name in identities
        for field in IDENTITY_FIELDS
    }


def _read_variables() -> dict[str, str | None]:
    variables = {name.upper(): text for name, text in read_env_file().items()}
    variables |= {name.upper(): text for name, text in os.environ.items()}
    return {name: text for name, text in variables.items() if name.startswith(PREFIX)}


def _ignored_reason(name: str) -> str | None:
    for pattern, what_to_do in IGNORED_VARIABLES.items():
        if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1])):
            return what_to_do
    return None


def _is_known(name: str, text: str) -> bool:
    if name.startswith(_IDENTITY_PREFIX):
        rest = name.removeprefix(_IDENTITY_PREFIX)
        return any(rest.endswith(f"_{field}") for field in IDENTITY_FIELDS)
    return (
        name in VARIABLES
        or name in DEPRECATED_VARIABLES
        or name in EXTERNAL_VARIABLES
        or name.startswith(_EXTERNAL_PREFIXES)
        or _ignored_reason(name) is not None
        or _KUBERNETES_VARIABLE.fullmatch(f"{name}={text}") is not None
    )


def _unknown_variable_line(name: str, of_identities: Iterable[str]) -> str:
    known = (*VARIABLES, *of_identities)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=SUGGESTION_CUTOFF)
    hint = f"did you mean {nearest[0]}?" if nearest else "docs/settings.md lists all variables"
    return f"{name} is not a setting of Pylon and has no effect: {hint}"
