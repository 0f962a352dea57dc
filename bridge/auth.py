"""Who may ask for what: Bearer tokens, told apart without telling anything about them."""

import hmac
from hashlib import sha256
from typing import Annotated

from fastapi import Security, params
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import IdentityName
from pylon_client.deployment import DeploymentSettings, IdentitySettings

_OPEN_SCHEME = HTTPBearer(
    scheme_name="OpenAccessToken",
    description="The token of open access.",
    auto_error=False,
)
_IDENTITY_SCHEME = HTTPBearer(
    scheme_name="IdentityToken",
    description="The token of the identity in the path.",
    auto_error=False,
)


class Gatekeeper:
    """Compares what callers present with the tokens of this deployment.

    Tokens are kept and compared as digests of one length, in constant time, and each caller's
    against all of them, so that neither an answer nor its timing tells a stranger how long a
    token is or which identities exist.
    """

    def __init__(self, settings: DeploymentSettings) -> None:
        self._identities = settings.identity_settings
        self._identity_digests = {
            name: _secret_digest(identity.token) for name, identity in self._identities.items()
        }
        token = settings.open_access_token
        self._open_digest = _secret_digest(token) if token.get_secret_value() else None

    @property
    def open_access_needs_token(self) -> bool:
        """Whether open access is for holders of its token alone."""
        return self._open_digest is not None

    @property
    def open_access_guards(self) -> list[params.Depends]:
        """The dependencies of an open-access route: none where open access asks for no token."""
        return [Security(self.open_access)] if self.open_access_needs_token else []

    async def open_access(
        self, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_OPEN_SCHEME)]
    ) -> None:
        """Let an open-access caller in.

        Raises:
            FailureError: UNAUTHENTICATED without credentials, FORBIDDEN with wrong ones.
        """
        if self._open_digest is None:
            return
        presented = _presented_digest(credentials)
        if not hmac.compare_digest(presented, self._open_digest):
            raise FailureError(ErrorCode.FORBIDDEN, "This token does not give open access.")

    async def identity(
        self,
        identity_name: IdentityName,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_IDENTITY_SCHEME)],
    ) -> IdentitySettings:
        """The identity in the path, for a caller that presents its token.

        Raises:
            FailureError: UNAUTHENTICATED without credentials, FORBIDDEN with wrong ones; an
                identity that does not exist is NOT_FOUND to those who hold another token of this
                deployment, and looks like any other identity to everybody else.
        """
        presented = _presented_digest(credentials)
        owners = {
            name
            for name, digest in self._identity_digests.items()
            if hmac.compare_digest(presented, digest)
        }
        opens = self._open_digest is not None and hmac.compare_digest(presented, self._open_digest)
        if identity_name in owners:
            return self._identities[identity_name]
        if identity_name not in self._identities and (owners or opens):
            raise FailureError(ErrorCode.NOT_FOUND, f"Identity '{identity_name}' not found.")
        raise FailureError(ErrorCode.FORBIDDEN, "This token is not the identity's.")


def _secret_digest(token: SecretStr) -> bytes:
    return sha256(token.get_secret_value().encode()).digest()


def _presented_digest(credentials: HTTPAuthorizationCredentials | None) -> bytes:
    if credentials is None:
        raise FailureError(
            ErrorCode.UNAUTHENTICATED, "Send 'Authorization: Bearer <token>' with this request."
        )
    # Header values arrive as latin-1 text; a token's own bytes are UTF-8.
    return sha256(credentials.credentials.encode("latin-1")).digest()
