"""Authentication and authorization of callers by Bearer token or session cookie.

Tokens are compared in constant time, so responses and their timing reveal nothing about them.
Callers that cannot send a token with each request send a session cookie instead.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Request, Security, params
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import SecretStr

from bridge.cross_origin import require_same_origin_json
from bridge.sessions import COOKIE_NAME, Sessions
from pylon.common.admission import OPEN_CALLER
from pylon.common.deployment_settings import DeploymentSettings, IdentitySettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import IdentityName, NetUid

_OPEN_SCHEME = HTTPBearer(
    scheme_name="OpenAccessToken",
    description="The token of open access.",
    auto_error=False,
)
_IDENTITY_SCHEME = HTTPBearer(
    scheme_name="IdentityToken",
    description="The token of the identity in the path; on paths of open access, of any identity.",
    auto_error=False,
)
_SESSION_SCHEME = APIKeyCookie(
    name=COOKIE_NAME,
    scheme_name="IdentitySession",
    description="A session of the identity in the path; on paths of open access, of any identity.",
    auto_error=False,
)
_OpenToken = Annotated[HTTPAuthorizationCredentials | None, Security(_OPEN_SCHEME)]
_IdentityToken = Annotated[HTTPAuthorizationCredentials | None, Security(_IDENTITY_SCHEME)]
_Cookie = Annotated[str | None, Security(_SESSION_SCHEME)]


@dataclass(frozen=True, slots=True)
class IdentityCaller:
    """An authenticated caller of an identity.

    Attributes:
        identity: settings of the identity.
        by_token: whether the caller sent the identity's token; False for a session cookie.
    """

    identity: IdentitySettings
    by_token: bool

    def require_subnet(self, netuid: NetUid) -> None:
        """Raise unless the netuid in the path is the identity's.

        Raises:
            FailureError: `visible_error` of NETUID_MISMATCH.
        """
        identity = self.identity
        if netuid != identity.netuid:
            raise self.visible_error(
                FailureError(
                    ErrorCode.NETUID_MISMATCH,
                    f"Identity '{identity.name}' is of subnet {identity.netuid}, not of {netuid}.",
                )
            )

    def visible_error(self, failure: FailureError) -> FailureError:
        """Return the error that this caller receives for an error of the bridge or a worker.

        NETUID_MISMATCH has no Location header: a client that follows redirects would act on
        another subnet. A caller with a cookie learns its subnet only from the login response, so it
        receives UNAUTHENTICATED instead and logs in again.
        """
        if failure.code is ErrorCode.NETUID_MISMATCH and not self.by_token:
            return _invalid_session_error()
        return failure


class Authenticator:
    """Authenticates callers with the tokens of this deployment.

    Tokens are stored as digests of equal length. Each token of a caller is compared with all of
    them in constant time, so neither the response nor its timing reveals the length of a token or
    which identities exist.

    Attributes:
        sessions: sessions of callers that authenticate with a cookie.
    """

    def __init__(self, settings: DeploymentSettings) -> None:
        self._identities = settings.identities_with_tokens
        self._identity_digests = {
            name: _secret_digest(identity.token) for name, identity in self._identities.items()
        }
        self.sessions = Sessions(self._identities)
        token = settings.open_access_token
        self._open_digest = _secret_digest(token) if token.get_secret_value() else None

    @property
    def open_access_needs_token(self) -> bool:
        """Whether open access requires a token."""
        return self._open_digest is not None

    @property
    def open_access_dependencies(self) -> list[params.Depends]:
        """Dependencies of open-access routes; empty if open access requires no token."""
        return [Security(self.require_open_access)] if self.open_access_needs_token else []

    def grants_open_access(self, token: bytes) -> bool:
        """Return whether a token is the open-access token or that of an identity."""
        digest = sha256(token).digest()
        opens = self._open_digest is not None and hmac.compare_digest(digest, self._open_digest)
        return bool(self._identities_with_digest(digest)) or opens

    def is_token_of(self, identity_name: IdentityName, token: bytes) -> bool:
        """Return whether a token is that of an identity."""
        return identity_name in self._identities_with_digest(sha256(token).digest())

    async def require_open_access(
        self, request: Request, credentials: _OpenToken, _identity: _IdentityToken, _cookie: _Cookie
    ) -> None:
        """Require the open-access token, or a token or session of an identity.

        The unused parameters document the authentication methods in the OpenAPI schema.

        Raises:
            FailureError: UNAUTHENTICATED without credentials, FORBIDDEN with wrong credentials.
        """
        is_identity = self.limit_key(request) != OPEN_CALLER
        if self._open_digest is None or (credentials is None and is_identity):
            return
        opens = hmac.compare_digest(_bearer_digest(credentials), self._open_digest)
        if not (opens or is_identity):
            raise FailureError(ErrorCode.FORBIDDEN, "This token does not give open access.")

    def limit_key(self, request: Request) -> str:
        """Return the identity whose concurrency limit applies to an open-access request.

        Requests without a token or session of an identity count as `OPEN_CALLER`. A session is
        ignored if a Bearer token is sent.
        """
        scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
        if scheme.lower() == "bearer" and token:
            owners = self._identities_with_digest(sha256(token.encode("latin-1")).digest())
            return next((name for name in self._identities if name in owners), OPEN_CALLER)
        cookie = request.cookies.get(COOKIE_NAME)
        of_session = None if cookie is None else self.sessions.verify(cookie)
        return OPEN_CALLER if of_session is None else of_session.name

    async def require_identity(
        self,
        request: Request,
        identity_name: IdentityName,
        credentials: _IdentityToken,
        cookie: _Cookie,
    ) -> IdentityCaller:
        """Authenticate a caller by the token of the identity in the path, or by its session.

        Raises:
            FailureError: as `identity_of_token`; UNAUTHENTICATED without credentials or with a
                cookie of another or an ended session; FORBIDDEN for a write with a cookie that
                another origin's page could have caused.
        """
        # Other authorization schemes than Bearer are ignored; the cookie is used then.
        if credentials is None and cookie is not None:
            of_session = self.sessions.verify(cookie)
            if of_session is None or of_session.name != identity_name:
                raise _invalid_session_error()
            require_same_origin_json(request)
            return IdentityCaller(of_session, by_token=False)
        identity = self._require_token_owner(identity_name, _bearer_digest(credentials))
        return IdentityCaller(identity, by_token=True)

    def identity_of_token(self, identity_name: IdentityName, token: bytes) -> IdentitySettings:
        """Return the identity of that name if the token is its token.

        Raises:
            FailureError: FORBIDDEN with a wrong token; NOT_FOUND if the identity does not exist and
                the token is another one of this deployment. Other callers cannot distinguish an
                unknown identity from a known one.
        """
        return self._require_token_owner(identity_name, sha256(token).digest())

    def _require_token_owner(
        self, identity_name: IdentityName, token_digest: bytes
    ) -> IdentitySettings:
        owners = self._identities_with_digest(token_digest)
        opens = self._open_digest is not None and hmac.compare_digest(
            token_digest, self._open_digest
        )
        if identity_name in owners:
            return self._identities[identity_name]
        if identity_name not in self._identities and (owners or opens):
            raise FailureError(ErrorCode.NOT_FOUND, f"Identity '{identity_name}' not found.")
        raise FailureError(ErrorCode.FORBIDDEN, "This token is not the identity's.")

    def _identities_with_digest(self, token_digest: bytes) -> set[IdentityName]:
        """Return the identities whose token has this digest; compare with all in constant time."""
        return {
            name
            for name, digest in self._identity_digests.items()
            if hmac.compare_digest(token_digest, digest)
        }


def _invalid_session_error() -> FailureError:
    return FailureError(
        ErrorCode.UNAUTHENTICATED,
        "The session has ended, or belongs to another identity or subnet: log in again.",
    )


def _secret_digest(token: SecretStr) -> bytes:
    return sha256(token.get_secret_value().encode()).digest()


def _bearer_digest(credentials: HTTPAuthorizationCredentials | None) -> bytes:
    if credentials is None:
        raise FailureError(
            ErrorCode.UNAUTHENTICATED, "Send 'Authorization: Bearer <token>' with this request."
        )
    # Starlette decodes header values as latin-1; the token's bytes are UTF-8.
    return sha256(credentials.credentials.encode("latin-1")).digest()
