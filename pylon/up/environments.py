"""What each process of the tree gets of the environment: what it reads, and nothing else.

A process that is taken over can give away the variables that it has. So the bridge, which strangers
talk to, gets no passwords of hotkeys and no user that may write jobs, and the devnet no secret at
all.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from pylon.processes import base_environment
from pylon.published_settings import PublishedSettings
from pylon.settings import WorkerSettings
from pylon_client.deployment import DeploymentSettings, IdentitySettings
from pylon_client.environment import PREFIX, EnvironmentSettings
from pylon_client.secret_files import FILE_SUFFIX
from pylon_client.service.logs import LogSettings
from pylon_client.service.metrics import PrometheusSettings

_TO_OTHER_MACHINES: Final = frozenset(
    {
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "WS_PROXY", "WSS_PROXY", "ALL_PROXY", "NO_PROXY"),
    }
)
_OF_THE_SDK: Final = ("BITTENSOR_", "BT_")
_OF_IDENTITIES_FOR_BRIDGES: Final = frozenset({"netuid", "token"})
"""An identity's wallet, its hotkey and that one's password are for workers alone."""
_PROMETHEUS_PREFIX: Final = PrometheusSettings.model_config.get("env_prefix", "")
_NATS_PASSWORDS: Final = frozenset(
    name for name in DeploymentSettings.model_fields if re.fullmatch(r"nats_\w+_password", name)
)


def worker_environment(env: Mapping[str, str], settings: WorkerSettings) -> dict[str, str]:
    """Return the variables of a worker."""
    withheld = {"nats_bridge_password", "nats_reader_password", "open_access_token"}
    chosen = _chosen(env, _names(WorkerSettings, but=withheld) | _names(PublishedSettings))
    chosen |= _chosen(env, _names(PrometheusSettings, prefix=_PROMETHEUS_PREFIX))
    chosen |= _withheld(withheld)
    for identity in settings.identity_settings.values():
        chosen |= _chosen(env, _names(IdentitySettings, prefix=identity.env_prefix))
    of_the_sdk = {name: text for name, text in env.items() if name.startswith(_OF_THE_SDK)}
    return _reaching_out(env) | of_the_sdk | chosen


def bridge_environment(
    env: Mapping[str, str], settings: WorkerSettings, reads: type[EnvironmentSettings]
) -> dict[str, str]:
    """Return the variables of a bridge.

    Args:
        env: of the tree.
        settings: which name the identities.
        reads: the bridge's own settings.
    """
    withheld = _NATS_PASSWORDS - {"nats_bridge_password"}
    chosen = _chosen(env, _names(reads, but=withheld)) | _withheld(withheld)
    chosen |= _chosen(env, _names(PrometheusSettings, prefix=_PROMETHEUS_PREFIX))
    withheld = set(IdentitySettings.model_fields) - _OF_IDENTITIES_FOR_BRIDGES - {"name"}
    for identity in settings.identity_settings.values():
        prefix = identity.env_prefix
        chosen |= _chosen(env, _names(IdentitySettings, prefix=prefix, but=withheld))
        chosen |= _withheld(withheld, prefix)
    return _reaching_out(env) | chosen


def devnet_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the simulated chain."""
    return base_environment(env) | _chosen(env, set())


def _names(
    settings: type[EnvironmentSettings], *, prefix: str = PREFIX, but: Collection[str] = ()
) -> set[str]:
    """Return the variables that a class of settings reads, in upper case."""
    names = {f"{prefix}{field}".upper() for field in settings.model_fields if field not in but}
    return names | {f"{name}{FILE_SUFFIX}" for name in names}


def _withheld(fields: Collection[str], prefix: str = PREFIX) -> dict[str, str]:
    """Return settings as empty, so that the process does not read them from `.env` either."""
    return {f"{prefix}{field}".upper(): "" for field in fields}


def _chosen(env: Mapping[str, str], names: set[str]) -> dict[str, str]:
    wanted = names | _names(LogSettings)
    return {name: text for name, text in env.items() if name.upper() in wanted}


def _reaching_out(env: Mapping[str, str]) -> dict[str, str]:
    """Return what any process needs, and what one needs that connects to other machines."""
    more = {name: text for name, text in env.items() if name.upper() in _TO_OTHER_MACHINES}
    return base_environment(env) | more
