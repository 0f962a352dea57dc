"""The settings that every process of one deployment shares, whichever side of NATS it is on."""

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
    """One identity: who may act, on which subnet, with which wallet.

    Read from `PYLON_ID_{NAME}_…`, where NAME is the identity's name in upper case with `-`
    written as `_`.

    Attributes:
        name: the identity's name.
        netuid: its subnet.
        token: what its callers present; the bridge and `pylon nats-conf` need it, workers do not.
        wallet_name: the folder of its wallet.
        hotkey_name: the hotkey in that wallet.
        hotkey_ss58: the address of that hotkey; None where the wallet is to be asked.
        hotkey_password: opens the hotkey's file, where it is encrypted.
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
        """What the names of its variables begin with."""
        return _env_prefix(self.name)

    @field_validator("token")
    @classmethod
    def _validate_token(cls, token: SecretStr) -> SecretStr:
        return require_header_text(token)

    @field_validator("hotkey_ss58")
    @classmethod
    def _validate_hotkey(cls, address: Hotkey | None) -> Hotkey | None:
        if address is not None and not is_address(address):
            raise ValueError("is no ss58 address")
        return address

    @classmethod
    def read(cls, name: IdentityName) -> Self:
        """The settings of one identity, from the environment and the `.env` file.

        Raises:
            SettingsError: some of them are missing or wrong.
        """
        # The name that begins with an underscore is an option of pydantic-settings' constructor,
        # which type checkers do not see.
        options: dict[str, Any] = {"name": name, "_env_prefix": _env_prefix(name)}
        return cls(**options)


class IdentityWithToken(IdentitySettings):
    """The settings of an identity for processes that check or present its token: required here."""

    token: SecretStr = Field(min_length=1)


def _split_urls(urls: str) -> list[str]:
    return [url.strip() for url in urls.split(",") if url.strip()]


def _env_prefix(name: IdentityName) -> str:
    return f"{PREFIX}ID_{name.upper().replace('-', '_')}_"


class DeploymentSettings(EnvironmentSettings):
    """How to reach NATS, and who may ask for what.

    Every secret `PYLON_X` may be in a file that `PYLON_X_FILE` names.

    Attributes:
        nats_url: one or more NATS servers of the same cluster, separated by commas.
        nats_ca_file: certificates of who may vouch for the NATS servers; None for the system's.
        nats_client_cert_file: what this process shows to NATS servers that ask for a certificate.
        nats_client_key_file: the key of that certificate.
        nats_worker_password: password of the NATS user `worker`; empty when NATS asks for none.
        nats_bridge_password: password of the NATS user `bridge`; the same. If empty, `pylon up`
            makes one for each run.
        nats_reader_password: password of the NATS user `reader`, which workers of the role
            `reader` connect as; if empty, they connect as `worker`.
        open_access_token: what open-access callers must present; empty means nothing.
        identities: the names of the configured identities.
        worker_health_socket: Unix socket of one worker on this machine: the worker answers at it
            what it answers at its health port, and the bridge adds the worker's metrics to its
            own. `pylon up` sets it.
        metrics_token: what those must present who read the metrics; empty shows them to nobody.
        sentry_dsn: where errors are reported; empty reports them nowhere.
        sentry_environment: under which name.
        strict_settings: refuse to start with a `PYLON_…` variable that no part of Pylon knows,
            instead of logging a warning.
    """

    nats_url: str = "nats://127.0.0.1:4222"
    nats_ca_file: Path | None = None
    nats_client_cert_file: Path | None = None
    nats_client_key_file: Path | None = None
    nats_worker_password: SecretStr = SecretStr("")
    nats_bridge_password: SecretStr = SecretStr("")
    nats_reader_password: SecretStr = SecretStr("")
    open_access_token: SecretStr = SecretStr("")
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
        """Every NATS server's URL."""
        return _split_urls(self.nats_url)

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
    def identity_settings(self) -> Mapping[IdentityName, IdentitySettings]:
        """Return the settings of every configured identity by name; tokens may be empty.

        Raises:
            SettingsError: some of the identities' settings are missing or wrong, or a secret is
                used twice; says which.
        """
        return self._read_identities(IdentitySettings)

    @cached_property
    def identities_with_tokens(self) -> Mapping[IdentityName, IdentitySettings]:
        """Return the same for a process that checks or presents tokens.

        Raises:
            SettingsError: as above, or an identity has no token.
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
