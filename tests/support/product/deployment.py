"""The settings of a deployment for a test, independent of the environment."""

from collections.abc import Awaitable, Callable, Mapping

from pydantic import Field, SecretStr

from pylon.common.deployment_settings import DeploymentSettings, IdentitySettings
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.product.secret_texts import secret_of

ConnectAs = Callable[[str | None], Awaitable[NatsConnection]]
"""A function that connects to a test's server as a user; None connects without credentials."""

WORKER_PASSWORD = secret_of("worker")
BRIDGE_PASSWORD = secret_of("bridge")
READER_PASSWORD = secret_of("reader")


class _FixedSettings(DeploymentSettings):
    fixed: dict[IdentityName, IdentitySettings] = Field(default_factory=dict)

    def _read_identities(
        self, kind: type[IdentitySettings]
    ) -> dict[IdentityName, IdentitySettings]:
        return self.fixed


def token_of(identity: str) -> str:
    """Return the token of an identity of `deployment_settings`."""
    return secret_of(identity)


def deployment_settings(
    nats_url: str = "nats://127.0.0.1:4222",
    *,
    identities: Mapping[str, int] | None = None,
    tokens: Mapping[str, str] | None = None,
    open_access_token: str = "",
) -> DeploymentSettings:
    """Return settings with identities, by name and netuid; `tokens` overrides `token_of`."""
    netuids = identities or {}
    settings = _FixedSettings.model_construct(
        nats_url=nats_url,
        nats_worker_password=SecretStr(WORKER_PASSWORD),
        nats_bridge_password=SecretStr(BRIDGE_PASSWORD),
        nats_reader_password=SecretStr(READER_PASSWORD),
        open_access_token=SecretStr(open_access_token),
        identities=[IdentityName(name) for name in netuids],
    )
    settings.fixed = {
        IdentityName(name): IdentitySettings.model_construct(
            name=IdentityName(name),
            netuid=NetUid(netuid),
            token=SecretStr((tokens or {}).get(name, token_of(name))),
        )
        for name, netuid in netuids.items()
    }
    return settings
