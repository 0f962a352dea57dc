"""Configuration of the client, from arguments or `PYLON_CLIENT_…` variables."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from tenacity import AsyncRetrying, BaseRetrying, Retrying

from pylon_client.contract import subjects
from pylon_client.contract.types import IdentityName
from pylon_client.retry import ASYNC_DEFAULT_RETRIES, DEFAULT_RETRIES
from pylon_client.tokens import require_header_characters
from pylon_client.urls import NATS_SCHEMES, split_url

HTTP_SCHEMES: Final = frozenset({"http", "https"})


class _HiddenToken(str):
    """A token whose `repr` hides its text."""

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
    """Timeouts of the steps of a request, in seconds.

    Attributes:
        connect: to connect to the bridge or NATS.
        read: from the end of the request to its response; Pylon cancels the request then.
        write: to send the request.
        pool: to get a connection of the pool (HTTP only).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect: Seconds = 5.0
    read: Seconds = 60.0
    write: Seconds = 5.0
    pool: Seconds = 5.0

    @property
    def total_s(self) -> float:
        """Return the maximum duration of a request, in seconds."""
        return self.pool + self.connect + self.write + self.read


def _with_reraise(retry: RetryT) -> RetryT:
    return retry.copy(reraise=True)


class BaseConfig(BaseModel):
    """Address, credentials and timeouts of a client.

    Each field is an argument or an environment variable, in upper case with the prefix
    `PYLON_CLIENT_`. Arguments take precedence.

    Attributes:
        address: the `http://` or `https://` URL of the bridge; or one or more `nats://` or
            `tls://` URLs of NATS servers of one cluster, as a list or separated by commas.
        open_access_token: the token of open access, if the service requires one.
        identity_name: the identity of `client.identity`; requires `identity_token`.
        identity_token: the token of that identity.
        timeout: the timeouts of the steps of a request.
        mtls_cert_path: PEM file of the client certificate for miners; requires `mtls_key_path`.
        mtls_key_path: PEM file of the private key of that certificate.

    Raises:
        ValidationError: at construction, if a field is missing or not valid. The text never
            contains a token.
    """

    # Rejected values may contain tokens, so errors hide them.
    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    address: str | list[str] = ""
    open_access_token: Token = None
    identity_name: str | None = None
    identity_token: Token = None
    timeout: PylonTimeout = PylonTimeout()
    mtls_cert_path: str | None = None
    mtls_key_path: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _add_environment(cls, given: object) -> object:
        from pylon_client.environment import with_environment  # noqa: PLC0415 - imported if used

        return with_environment(cls, cast("Any", given)) if isinstance(given, Mapping) else given

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the URLs of the address, without trailing slashes."""
        given = self.address.split(",") if isinstance(self.address, str) else self.address
        return tuple(url.strip().rstrip("/") for url in given if url.strip())

    @property
    def speaks_nats(self) -> bool:
        """Return whether the address is one of NATS servers."""
        return urlsplit(self.urls[0]).scheme in NATS_SCHEMES

    @property
    def identity(self) -> IdentityName | None:
        """Return the name of the configured identity, if any."""
        return None if self.identity_name is None else IdentityName(self.identity_name)

    @field_validator("identity_name")
    @classmethod
    def _validate_identity_name(cls, name: str | None) -> str | None:
        return subjects.validate_identity_name(name) if name else None

    @model_validator(mode="after")
    def _validate_address(self) -> Self:
        if not self.urls:
            raise ValueError("address is missing: pass it, or set PYLON_CLIENT_ADDRESS")
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
                "address must not contain credentials: use open_access_token, or identity_name "
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
            raise ValueError(f"{missing} is missing: a certificate requires its key")
        return self


class AsyncConfig(BaseConfig):
    """The configuration of an `AsyncPylonClient`: the fields of `BaseConfig` and the retries.

    Attributes:
        retry: the retries as a tenacity object, such as `ASYNC_DEFAULT_RETRIES.copy(…)`. The
            exception of the last attempt is raised.
    """

    retry: Annotated[AsyncRetrying, AfterValidator(_with_reraise)] = ASYNC_DEFAULT_RETRIES


class Config(BaseConfig):
    """The configuration of a `PylonClient`: the fields of `BaseConfig` and the retries.

    Attributes:
        retry: the retries as a tenacity object, such as `DEFAULT_RETRIES.copy(…)`. The exception
            of the last attempt is raised.
    """

    retry: Annotated[Retrying, AfterValidator(_with_reraise)] = DEFAULT_RETRIES
