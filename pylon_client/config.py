"""How a client is configured: by arguments, or by `PYLON_CLIENT_…` in the environment."""

from typing import Annotated, Any, Final, Self, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import InitErrorDetails, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from tenacity import AsyncRetrying, BaseRetrying, Retrying

from pylon_client.contract import subjects
from pylon_client.contract.types import IdentityName
from pylon_client.retry import ASYNC_DEFAULT_RETRIES, DEFAULT_RETRIES
from pylon_client.tokens import require_header_characters
from pylon_client.urls import NATS_SCHEMES, split_url

HTTP_SCHEMES: Final = frozenset({"http", "https"})


class _HiddenToken(str):
    """A token that shows itself only where it is used as the string it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def _hide_token(token: str | None) -> str | None:
    if not token:
        return None
    return _HiddenToken(require_header_characters(token))


Token = Annotated[str | None, AfterValidator(_hide_token)]
RetryT = TypeVar("RetryT", bound=BaseRetrying)
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PylonTimeout(BaseModel):
    """For how many seconds each step of a request may take.

    Attributes:
        connect: to reach the bridge, or NATS.
        read: from the request being sent to its answer; Pylon is told, and gives up then too.
        write: to send the request.
        pool: to get one of the connections that are open already (HTTP alone).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect: Seconds = 5.0
    read: Seconds = 60.0
    write: Seconds = 5.0
    pool: Seconds = 5.0

    @property
    def total_s(self) -> float:
        """For how long a request can take altogether."""
        return self.pool + self.connect + self.write + self.read


def _with_reraise(retry: RetryT) -> RetryT:
    return retry.copy(reraise=True)


class BaseConfig(BaseSettings):
    """Where Pylon is and who asks.

    Each field may be given as an argument or, in upper case, as an environment variable with
    the prefix `PYLON_CLIENT_`; the argument wins.

    Attributes:
        address: an `http://` or `https://` URL of the bridge; or one or more `nats://` or
            `tls://` URLs of NATS servers of one cluster, as a list or separated by commas.
        open_access_token: for open access, where the service asks for one.
        identity_name: whom `client.identity` acts as; together with its token or not at all.
        identity_token: that identity's token.
        timeout: for how long each step of a request may take.
        mtls_cert_path: the PEM file of the certificate that is shown to miners; together with
            `mtls_key_path` or not at all.
        mtls_key_path: the PEM file of its private key.

    Raises:
        ValidationError: at construction; says what is missing or wrong, never a token.
    """

    # Where a value is refused, it may be a token or stand beside one, so errors show none. What
    # the environment holds besides is somebody else's; arguments are ours, and looked at below.
    model_config = SettingsConfigDict(
        env_prefix="PYLON_CLIENT_",
        env_nested_delimiter="__",
        extra="ignore",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    address: str | list[str] = ""
    open_access_token: Token = None
    identity_name: str | None = None
    identity_token: Token = None
    timeout: PylonTimeout = PylonTimeout()
    mtls_cert_path: str | None = None
    mtls_key_path: str | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual sources, after a look at the arguments: a mistyped one must not be ignored."""
        if isinstance(init_settings, InitSettingsSource):
            given = cast("dict[str, Any]", init_settings.init_kwargs)  # pyright: ignore[reportUnknownMemberType] -- the library's arguments are of anything
            unknown: list[InitErrorDetails] = [
                {"type": "extra_forbidden", "loc": (name,), "input": None}
                for name in given
                if name not in settings_cls.model_fields
            ]
            if unknown:
                raise ValidationError.from_exception_data(
                    settings_cls.__name__, unknown, hide_input=True
                )
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @property
    def urls(self) -> tuple[str, ...]:
        """Every URL of the address, without trailing slashes."""
        given = self.address.split(",") if isinstance(self.address, str) else self.address
        return tuple(url.strip().rstrip("/") for url in given if url.strip())

    @property
    def speaks_nats(self) -> bool:
        """Whether the address is of NATS servers."""
        return urlsplit(self.urls[0]).scheme in NATS_SCHEMES

    @property
    def identity(self) -> IdentityName | None:
        """The identity's name, if one is configured."""
        return None if self.identity_name is None else IdentityName(self.identity_name)

    @field_validator("identity_name")
    @classmethod
    def _validate_identity_name(cls, name: str | None) -> str | None:
        return subjects.validate_identity_name(name) if name else None

    @model_validator(mode="after")
    def _validate_address(self) -> Self:
        if not self.urls:
            raise ValueError("address is missing: give it, or set PYLON_CLIENT_ADDRESS")
        try:
            parts = [split_url(url) for url in self.urls]
        except ValueError as error:
            raise ValueError(f"address has a URL {error}") from None
        schemes = {part.scheme for part in parts}
        if not (schemes <= HTTP_SCHEMES or schemes <= NATS_SCHEMES):
            raise ValueError(
                "address must be one http:// or https:// URL, or nats:// or tls:// URLs"
            )
        if schemes <= HTTP_SCHEMES and len(parts) > 1:
            raise ValueError("address may hold several URLs only for NATS")
        if not all(part.hostname for part in parts):
            raise ValueError("address has a URL without a host")
        if any(part.username or part.password for part in parts):
            raise ValueError(
                "address must not hold credentials: give open_access_token, or identity_name "
                "and identity_token"
            )
        return self

    @model_validator(mode="after")
    def _validate_identity(self) -> Self:
        if self.identity_name and not self.identity_token:
            raise ValueError("identity_name is given and identity_token is missing")
        if self.identity_token and not self.identity_name:
            raise ValueError("identity_token is given and identity_name is missing")
        return self

    @model_validator(mode="after")
    def _validate_certificate(self) -> Self:
        if bool(self.mtls_cert_path) != bool(self.mtls_key_path):
            missing = "mtls_key_path" if self.mtls_cert_path else "mtls_cert_path"
            raise ValueError(f"{missing} is missing: a certificate is of no use without its key")
        return self


class AsyncConfig(BaseConfig):
    """The configuration of an `AsyncPylonClient`: the fields of `BaseConfig` and the retries.

    Attributes:
        retry: a tenacity object that says what is sent again, when, and how often; made from
            `ASYNC_DEFAULT_RETRIES.copy(…)`. The last attempt's own exception is raised.
    """

    retry: Annotated[AsyncRetrying, AfterValidator(_with_reraise)] = ASYNC_DEFAULT_RETRIES


class Config(BaseConfig):
    """The configuration of a `PylonClient`: the fields of `BaseConfig` and the retries.

    Attributes:
        retry: a tenacity object that says what is sent again, when, and how often; made from
            `DEFAULT_RETRIES.copy(…)`. The last attempt's own exception is raised.
    """

    retry: Annotated[Retrying, AfterValidator(_with_reraise)] = DEFAULT_RETRIES
