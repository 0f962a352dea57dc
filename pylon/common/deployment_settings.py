"""Settings shared by all processes of a deployment."""

import ssl
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsError

from pylon.common.environment_settings import PREFIX, EnvironmentSettings, json_list
from pylon_client.contract import subjects
from pylon_client.contract.ss58 import is_address
from pylon_client.contract.types import Hotkey, HotkeyName, IdentityName, NetUidField, WalletName
from pylon_client.tokens import equal_secrets, require_header_text
from pylon_client.urls import check_nats_urls


class IdentitySettings(EnvironmentSettings):
    """An identity: its token, subnet and wallet.

    Read from `PYLON_ID_{NAME}_…`, where NAME is the identity's name in upper case with `-`
    replaced by `_`.

    Attributes:
        name: the identity's name.
        netuid: its subnet.
        token: token of its callers; the bridge and `pylon nats-conf` need it, workers do not.
        wallet_name: the folder of its wallet.
        hotkey_name: the hotkey in that wallet.
        hotkey_ss58: address of that hotkey; None to read it from the wallet.
        hotkey_password: password of the hotkey's file, if it is encrypted.
    """

    name: IdentityName
    netuid: NetUidField
    token: SecretStr = SecretStr("")
    wallet_name: WalletName = WalletName("")
    hotkey_name: HotkeyName = HotkeyName("")
    hotkey_ss58: Hotkey | None = None
    hotkey_password: SecretStr = SecretStr("")

    @property
    def env_prefix(self) -> str:
        """Return the prefix of the names of its variables."""
        return _env_prefix(self.name)

    @field_validator("token")
    @classmethod
    def _validate_token(cls, token: SecretStr) -> SecretStr:
        return require_header_text(token)

    @field_validator("hotkey_ss58")
    @classmethod
    def _validate_hotkey(cls, address: Hotkey | None) -> Hotkey | None:
        if address is not None and not is_address(address):
            raise ValueError("is not an ss58 address")
        return address

    @classmethod
    def read(cls, name: IdentityName) -> Self:
        """Read the settings of one identity from the environment and the `.env` file.

        Raises:
            SettingsError: some of them are missing or wrong.
        """
        # `_env_prefix` is an option of the constructor of pydantic-settings, unknown to type
        # checkers.
        options: dict[str, Any] = {"name": name, "_env_prefix": _env_prefix(name)}
        return cls(**options)


class IdentityWithToken(IdentitySettings):
    """The settings of an identity for processes that require its token."""

    token: SecretStr = Field(min_length=1)


def _split_urls(urls: str) -> list[str]:
    return [url.strip() for url in urls.split(",") if url.strip()]


def _env_prefix(name: IdentityName) -> str:
    return f"{PREFIX}ID_{name.upper().replace('-', '_')}_"


class DeploymentSettings(EnvironmentSettings):
    """Connection to NATS, identities and access tokens.

    Every secret `PYLON_X` may be read from a file named by `PYLON_X_FILE`.

    Attributes:
        nats_url: one or more NATS servers of the same cluster, separated by commas.
        nats_ca_file: CA certificates that verify the NATS servers; None for the system's.
        nats_client_cert_file: client certificate for NATS servers that require one.
        nats_client_key_file: key of the client certificate.
        nats_worker_password: password of the NATS user `worker`; empty if NATS requires none.
        nats_bridge_password: password of the NATS user `bridge`; empty if NATS requires none.
            `pylon up` generates one for each run if it is empty.
        nats_reader_password: password of the NATS user `reader` for workers with the role
            `reader`; if empty, they connect as `worker`.
        open_access_token: bearer token for open access; if empty, open access needs no token.
        identities: the names of the configured identities.
        block_duration_seconds: block time of the chain: the age of recent neurons while no heads
            arrive, and the time for which a bridge serves the latest values from its memory after
            the last block.
        recent_objects_hard_limit_blocks: maximum age of recent neurons.
        worker_health_socket: Unix socket on which one worker of this machine serves its probes
            and metrics; the bridge adds these metrics to its own. `pylon up` sets it.
        metrics_token: bearer token for `/metrics`; if empty, `/metrics` returns 403.
        sentry_dsn: Sentry DSN for error reports; empty to report nothing.
        sentry_environment: name of the environment in Sentry.
        strict_settings: refuse to start if a `PYLON_…` variable is unknown, instead of logging a
            warning.
    """

    nats_url: str = "nats://127.0.0.1:4222"
    nats_ca_file: Path | None = None
    nats_client_cert_file: Path | None = None
    nats_client_key_file: Path | None = None
    nats_worker_password: SecretStr = SecretStr("")
    nats_bridge_password: SecretStr = SecretStr("")
    nats_reader_password: SecretStr = SecretStr("")
    open_access_token: SecretStr = SecretStr("")
    block_duration_seconds: float = Field(default=12.0, gt=0)
    recent_objects_hard_limit_blocks: int = Field(default=64, ge=0)
    worker_health_socket: Path | None = None
    metrics_token: SecretStr = SecretStr("")
    sentry_dsn: SecretStr = SecretStr("")
    sentry_environment: str = "development"
    strict_settings: bool = False
    identities: Annotated[list[IdentityName], NoDecode, json_list('["sn1"]')] = Field(
        default_factory=list[IdentityName]
    )

    @field_validator("nats_url")
    @classmethod
    def _validate_nats_url(cls, nats_url: str) -> str:
        check_nats_urls(_split_urls(nats_url))
        return nats_url

    @field_validator("open_access_token", "metrics_token")
    @classmethod
    def _validate_tokens(cls, token: SecretStr) -> SecretStr:
        return require_header_text(token)

    @field_validator("identities")
    @classmethod
    def _validate_identities(cls, names: list[IdentityName]) -> list[IdentityName]:
        if len({name.lower().replace("-", "_") for name in names}) != len(names):
            raise ValueError("two identities would share their settings: rename one of them")
        for number, name in enumerate(names, 1):
            try:
                subjects.validate_identity_name(name)
            except subjects.InvalidSubjectError:
                reserved = ", ".join(sorted(subjects.RESERVED_USERS))
                raise ValueError(
                    f"item {number} cannot name an identity: use letters, digits, '_' and '-', "
                    f"and none of {reserved}"
                ) from None
        return names

    @property
    def nats_urls(self) -> list[str]:
        """Return the URLs of all NATS servers."""
        return _split_urls(self.nats_url)

    @cached_property
    def nats_tls(self) -> ssl.SSLContext | None:
        """Return the TLS context for NATS; None to follow the URL's scheme.

        Raises:
            SettingsError: a file cannot be read, or is not a certificate or key.
        """
        if self.nats_ca_file is None and self.nats_client_cert_file is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.nats_ca_file)
            if self.nats_client_cert_file is not None:
                context.load_cert_chain(self.nats_client_cert_file, self.nats_client_key_file)
        except OSError as error:
            raise SettingsError(
                f"PYLON_NATS_CA_FILE or the client certificate cannot be loaded: {error.strerror}"
            ) from None
        return context

    @cached_property
    def identity_settings(self) -> Mapping[IdentityName, IdentitySettings]:
        """Return the settings of every configured identity by name; tokens may be empty.

        Raises:
            SettingsError: settings of identities are missing or wrong, or a secret is used twice.
                The text names them.
        """
        return self._read_identities(IdentitySettings)

    @cached_property
    def identities_with_tokens(self) -> Mapping[IdentityName, IdentitySettings]:
        """Return the same settings, with tokens that are not empty.

        Raises:
            SettingsError: as for `identity_settings`, or an identity has no token.
        """
        return self._read_identities(IdentityWithToken)

    def _read_identities(
        self, kind: type[IdentitySettings]
    ) -> dict[IdentityName, IdentitySettings]:
        found: dict[IdentityName, IdentitySettings] = {}
        mistakes: list[str] = []
        for name in self.identities:
            try:
                found[name] = kind.read(name)
            except SettingsError as error:
                mistakes.append(str(error))
        mistakes += equal_secrets(
            {f"{PREFIX}{name}".upper(): secret for name, secret in _secrets(self)}
            | {f"{identity.env_prefix}TOKEN": identity.token for identity in found.values()}
        )
        if mistakes:
            raise SettingsError("\n".join(mistakes))
        return found


def _secrets(settings: DeploymentSettings) -> Iterator[tuple[str, SecretStr]]:
    for name, value in settings:
        if isinstance(value, SecretStr) and name != "sentry_dsn":
            yield name, value
