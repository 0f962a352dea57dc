"""The environment of each process: only the variables that it reads.

A compromised process can leak its variables. Therefore the bridge, which untrusted clients reach,
gets no hotkey passwords and no NATS user that may write jobs, and the devnet gets no secrets.
"""

import os
import re
from collections.abc import Collection, Mapping
from typing import Final

from pylon.common.deployment_settings import DeploymentSettings, IdentitySettings
from pylon.common.env_file import ENV_FILE_VARIABLE, read_env_file
from pylon.common.environment_settings import PREFIX, EnvironmentSettings
from pylon.common.logs import LogSettings
from pylon.common.processes import base_environment
from pylon.common.prometheus_settings import PrometheusSettings
from pylon.common.secret_files import FILE_SUFFIX
from pylon.worker.binding.remedy import HOME_VARIABLE
from pylon.worker.settings import WorkerSettings

_NETWORK_VARIABLES: Final = frozenset(
    {
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "WS_PROXY", "WSS_PROXY", "ALL_PROXY", "NO_PROXY"),
    }
)
_METRICS_VARIABLES: Final = frozenset({"PROMETHEUS_DISABLE_CREATED_SERIES"})
_SDK_PREFIXES: Final = ("BITTENSOR_", "BT_")
_BRIDGE_IDENTITY_FIELDS: Final = frozenset({"netuid", "token"})
"""Fields of identities for bridges; wallet, hotkey and its password are for workers only."""
_WITHHELD_FROM_WORKERS: Final = frozenset({"token"})
"""Fields of identities that workers do not need: the bridge and NATS verify tokens."""
_PROMETHEUS_PREFIX: Final = PrometheusSettings.model_config.get("env_prefix", "")
_NATS_PASSWORDS: Final = frozenset(
    name for name in DeploymentSettings.model_fields if re.fullmatch(r"nats_\w+_password", name)
)
NO_ENV_FILE: Final = {ENV_FILE_VARIABLE: ""}
"""Keeps a process from reading `.env`: its environment contains the variables that it needs."""


def supervisor_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the supervisor, including the variables of `.env`.

    Args:
        overrides: settings that replace the values of the environment and `.env`.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    overridden = {
        name.upper() for name in (*overrides, *(f"{name}{FILE_SUFFIX}" for name in overrides))
    }
    environment_names = {name.upper() for name in os.environ}
    from_env_file = {
        name: text
        for name, text in read_env_file().items()
        if text is not None and not _secret_variables(name) & environment_names
    }
    not_overridden = {
        name: text
        for name, text in {**from_env_file, **os.environ}.items()
        if name.upper() not in overridden
    }
    return not_overridden | dict(overrides) | NO_ENV_FILE


def _secret_variables(name: str) -> set[str]:
    """Return both variables of a secret: also its `_FILE` variable takes precedence over `.env`."""
    variable = name.upper().removesuffix(FILE_SUFFIX)
    return {variable, variable + FILE_SUFFIX}


def worker_environment(env: Mapping[str, str], settings: WorkerSettings) -> dict[str, str]:
    """Return the variables of a worker."""
    withheld = {"nats_bridge_password", "nats_reader_password", "open_access_token"}
    chosen = _select(env, _variables_of(WorkerSettings, exclude=withheld) | {HOME_VARIABLE})
    chosen |= _select(env, _variables_of(PrometheusSettings, prefix=_PROMETHEUS_PREFIX))
    for identity in settings.identity_settings.values():
        prefix = identity.env_prefix
        names = _variables_of(IdentitySettings, prefix=prefix, exclude=_WITHHELD_FROM_WORKERS)
        chosen |= _select(env, names)
    of_the_sdk = {name: text for name, text in env.items() if name.startswith(_SDK_PREFIXES)}
    return _base_variables(env) | of_the_sdk | chosen


def bridge_environment(
    env: Mapping[str, str], settings: WorkerSettings, settings_class: type[EnvironmentSettings]
) -> dict[str, str]:
    """Return the variables of a bridge.

    Args:
        env: environment of the supervisor.
        settings: settings that name the identities.
        settings_class: class of the bridge's settings.
    """
    withheld = _NATS_PASSWORDS - {"nats_bridge_password"}
    chosen = _select(env, _variables_of(settings_class, exclude=withheld))
    chosen |= _select(env, _variables_of(PrometheusSettings, prefix=_PROMETHEUS_PREFIX))
    withheld = set(IdentitySettings.model_fields) - _BRIDGE_IDENTITY_FIELDS - {"name"}
    for identity in settings.identity_settings.values():
        prefix = identity.env_prefix
        chosen |= _select(env, _variables_of(IdentitySettings, prefix=prefix, exclude=withheld))
    return _base_variables(env) | chosen


def devnet_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the devnet."""
    return base_environment(env) | _select(env, set())


def _variables_of(
    settings: type[EnvironmentSettings], *, prefix: str = PREFIX, exclude: Collection[str] = ()
) -> set[str]:
    """Return the names of the variables that a settings class reads, in upper case."""
    names = {f"{prefix}{field}".upper() for field in settings.model_fields if field not in exclude}
    return names | {f"{name}{FILE_SUFFIX}" for name in names}


def _select(env: Mapping[str, str], names: set[str]) -> dict[str, str]:
    wanted = names | _variables_of(LogSettings)
    return {name: text for name, text in env.items() if name.upper() in wanted} | NO_ENV_FILE


def _base_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for metrics, proxies and certificates, and those of every process."""
    wanted = _NETWORK_VARIABLES | _METRICS_VARIABLES
    more = {name: text for name, text in env.items() if name.upper() in wanted}
    return base_environment(env) | more
