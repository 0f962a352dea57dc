"""The settings that every process of one deployment shares, whichever side of NATS it is on."""

import ssl
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from pylon_client.contract import subjects
from pylon_client.contract.ss58 import HotkeyField
from pylon_client.contract.types import HotkeyName, IdentityName, NetUidField, WalletName
from pylon_client.secret_files import read_secret_files

ENV_FILE = ".env"


class _EnvironmentSettings(BaseSettings):
    """Settings from variables, whose secrets may be in files instead."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where settings come from, the first that knows one wins."""
        del settings_cls, file_secret_settings
        for source in (env_settings, dotenv_settings):
            read_secret_files(source)
        return init_settings, env_settings, dotenv_settings


class IdentitySettings(_EnvironmentSettings):
    """One identity: who may act, on which subnet, with which wallet.

    Read from `PYLON_ID_{NAME}_…`, where NAME is the identity's name in upper case with `-`
    written as `_`.

    Attributes:
        name: the identity's name.
        netuid: its subnet.
        token: what its callers present.
        wallet_name: the folder of its wallet.
        hotkey_name: the hotkey in that wallet.
        hotkey_ss58: the address of that hotkey; None where the wallet is to be asked.
        hotkey_password: opens the hotkey's file, where it is encrypted.
    """

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    name: IdentityName
    netuid: NetUidField
    token: SecretStr = Field(min_length=1)
    wallet_name: WalletName = WalletName("")
    hotkey_name: HotkeyName = HotkeyName("")
    hotkey_ss58: HotkeyField | None = None
    hotkey_password: SecretStr = SecretStr("")

    @property
    def env_prefix(self) -> str:
        """What the names of its variables begin with."""
        return _env_prefix(self.name)

    @field_validator("hotkey_ss58", mode="before")
    @classmethod
    def _empty_is_none(cls, address: object) -> object:
        return address or None

    @classmethod
    def read(cls, name: IdentityName) -> Self:
        """The settings of one identity, from the environment and the `.env` file.

        Raises:
            ValidationError: one of them is missing or wrong.
        """
        # The names that begin with an underscore are options of pydantic-settings' constructor,
        # which type checkers do not see.
        options: dict[str, Any] = {
            "name": name,
            "_env_prefix": _env_prefix(name),
            "_env_file": ENV_FILE,
        }
        return cls(**options)


def _env_prefix(name: IdentityName) -> str:
    return f"PYLON_ID_{name.upper().replace('-', '_')}_"


class DeploymentSettings(_EnvironmentSettings):
    """How to reach NATS, and who may ask for what.

    Every secret `PYLON_X` may be in a file that `PYLON_X_FILE` names.

    Attributes:
        nats_url: one or more NATS servers of the same cluster, separated by commas.
        nats_ca_file: certificates of who may vouch for the NATS servers; None for the system's.
        nats_client_cert_file: what this process shows to NATS servers that ask for a certificate.
        nats_client_key_file: the key of that certificate.
        nats_worker_password: password of the NATS user `worker`; empty when NATS asks for none.
        nats_bridge_password: password of the NATS user `bridge`; the same.
        open_access_token: what open-access callers must present; empty means nothing.
        identities: the names of the configured identities.
        metrics_token: what those must present who read the metrics; empty shows them to nobody.
        sentry_dsn: where errors are reported; empty reports them nowhere.
        sentry_environment: under which name.
    """

    model_config = SettingsConfigDict(
        env_prefix="PYLON_", extra="ignore", env_file=ENV_FILE, hide_input_in_errors=True
    )

    nats_url: str = "nats://127.0.0.1:4222"
    nats_ca_file: Path | None = None
    nats_client_cert_file: Path | None = None
    nats_client_key_file: Path | None = None
    nats_worker_password: SecretStr = SecretStr("")
    nats_bridge_password: SecretStr = SecretStr("")
    open_access_token: SecretStr = SecretStr("")
    metrics_token: SecretStr = SecretStr("")
    sentry_dsn: SecretStr = SecretStr("")
    sentry_environment: str = "development"
    identities: list[IdentityName] = Field(default_factory=list[IdentityName])

    @field_validator("identities")
    @classmethod
    def _names_fit_subjects(cls, names: list[IdentityName]) -> list[IdentityName]:
        if len({name.lower().replace("-", "_") for name in names}) != len(names):
            raise ValueError("two identities would share their settings: rename one of them")
        return [subjects.identity_name(name) for name in names]

    @property
    def nats_urls(self) -> list[str]:
        """Every NATS server's URL."""
        return [url.strip() for url in self.nats_url.split(",") if url.strip()]

    @cached_property
    def nats_tls(self) -> ssl.SSLContext | None:
        """How to check NATS servers, and what to show them; None to do as the URL says.

        Raises:
            SettingsError: one of the files is none, or cannot be read.
        """
        if self.nats_ca_file is None and self.nats_client_cert_file is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.nats_ca_file)
            if self.nats_client_cert_file is not None:
                context.load_cert_chain(self.nats_client_cert_file, self.nats_client_key_file)
        except OSError as error:
            raise SettingsError(
                f"the PYLON_NATS_CA_FILE or the client's certificate is unfit: {error.strerror}"
            ) from None
        return context

    @cached_property
    def identity_settings(self) -> dict[IdentityName, IdentitySettings]:
        """The settings of every configured identity, by name.

        Raises:
            ValidationError: one of an identity's settings is missing or wrong.
        """
        return {name: IdentitySettings.read(name) for name in self.identities}
