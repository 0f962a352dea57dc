"""Access control for `/metrics`, by a bearer token."""

import hmac
from hashlib import sha256
from typing import Final

from pydantic import SecretStr

_BEARER: Final = "Bearer "


def metrics_access_error(authorization: str | None, token: SecretStr) -> str | None:
    """Return why a request for the metrics is denied, or None if it is allowed.

    Args:
        authorization: the header `Authorization` of the request.
        token: the expected bearer token; if empty, every request is denied.
    """
    secret = token.get_secret_value()
    if not secret:
        return "Metrics endpoint is not configured"
    if not authorization:
        return "Authorization header is required"
    if not authorization.startswith(_BEARER):
        return "Invalid Authorization header format. Expected: Bearer <token>"
    presented = authorization.removeprefix(_BEARER).encode("latin-1", "replace")
    # Digests have equal lengths, so the comparison does not reveal the token's length.
    if not hmac.compare_digest(sha256(presented).digest(), sha256(secret.encode()).digest()):
        return "Invalid authorization token"
    return None
