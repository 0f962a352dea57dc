"""The password of the bridge's NATS user: configured or generated."""

import secrets

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from pylon.common.environment_settings import EnvironmentSettings


class _BridgePassword(EnvironmentSettings):
    """The setting; `PYLON_NATS_BRIDGE_PASSWORD_FILE` is not read."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    nats_bridge_password: SecretStr | None = None


def bridge_password() -> str:
    """Return the configured password, for additional bridges, or a random one for this run."""
    chosen = _BridgePassword().nats_bridge_password
    return secrets.token_urlsafe(24) if chosen is None else chosen.get_secret_value()
