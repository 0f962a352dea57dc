"""Sessions of callers that cannot send a token with each request, held in signed cookies.

A session belongs to one identity and its subnet. Its signing key is derived from the identity's
token: every bridge of the deployment accepts the session without stored state, and a new token
invalidates all earlier sessions. Sessions that ended by a logout are stored in memory by the bridge
that handled the logout.
"""

import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.common.deployment_settings import IdentitySettings
from pylon_client.contract.types import IdentityName, NetUid

COOKIE_NAME: Final = "pylon_session"
SESSION_LIFETIME_S: Final = 30 * 24 * 3600
"""Lifetime of a session, in seconds.

The oldest clients log in once and never again, so this limits how long they can run.
"""

MAX_ENDED_SESSIONS: Final = 100_000
"""Maximum number of ended sessions in memory; the oldest are dropped first."""

_KEY_CONTEXT: Final = b"pylon session 1"


class Session(BaseModel):
    """The content of a session cookie."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    identity_name: IdentityName
    netuid: NetUid
    ends_at_s: int
    session_id: str = ""
    """Distinguishes sessions that begin in the same second; empty in earlier versions."""


class Sessions:
    """Creates, verifies and ends the sessions of a deployment.

    Args:
        identities: identities with their tokens, by name.
        now_s: returns the seconds since the Unix epoch.
    """

    def __init__(
        self,
        identities: Mapping[IdentityName, IdentitySettings],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._identities = identities
        self._now_s = now_s
        self._keys = {
            name: hmac.digest(identity.token.get_secret_value().encode(), _KEY_CONTEXT, sha256)
            for name, identity in identities.items()
        }
        self._ended: dict[bytes, None] = {}

    def create(self, identity: IdentitySettings) -> str:
        """Return the cookie value of a new session; the identity's token must have been checked."""
        session = Session(
            identity_name=identity.name,
            netuid=identity.netuid,
            ends_at_s=int(self._now_s()) + SESSION_LIFETIME_S,
            session_id=secrets.token_urlsafe(9),
        )
        body = urlsafe_b64encode(session.model_dump_json().encode())
        return f"{body.decode()}.{self._signature(identity.name, body)}"

    def verify(self, cookie: str) -> IdentitySettings | None:
        """Return the identity of a session cookie; None if the cookie is invalid or has ended."""
        body, _, signature = cookie.encode("latin-1").rpartition(b".")
        try:
            session = Session.model_validate_json(urlsafe_b64decode(body))
        except (ValueError, ValidationError):
            return None
        identity = self._identities.get(session.identity_name)
        if identity is None:
            return None
        genuine = self._signature(identity.name, body).encode()
        if not hmac.compare_digest(signature, genuine):
            return None
        is_current = session.netuid == identity.netuid and self._now_s() < session.ends_at_s
        has_ended = sha256(body).digest() in self._ended
        return identity if is_current and not has_ended else None

    def end(self, cookie: str) -> None:
        """End the session of a cookie; ignore an invalid cookie."""
        if self.verify(cookie) is None:
            return
        body, _, _ = cookie.encode("latin-1").rpartition(b".")
        self._ended[sha256(body).digest()] = None
        if len(self._ended) > MAX_ENDED_SESSIONS:
            del self._ended[next(iter(self._ended))]

    def _signature(self, name: IdentityName, body: bytes) -> str:
        return hmac.new(self._keys[name], body, sha256).hexdigest()
