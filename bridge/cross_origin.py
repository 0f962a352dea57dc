"""Refusing what another site's page asks a browser to send with the cookie of a session."""

from typing import Final

from fastapi import Request

from pylon_client.contract.failures import ErrorCode, FailureError

JSON: Final = "application/json"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_SAME_ORIGIN_SITES: Final = frozenset({"same-origin", "none"})
"""Values of `Sec-Fetch-Site` of this origin's own pages, and of what a person asked for."""


def require_same_origin(request: Request) -> None:
    """Refuse a request that a page of another origin caused; one of no browser passes.

    `SameSite` does not: it takes another port of the same host for the same site.

    Raises:
        FailureError: FORBIDDEN.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        # The browser compares what it sees itself, whatever a proxy makes of the host.
        is_own = site in _SAME_ORIGIN_SITES
    else:
        origin = request.headers.get("Origin")
        is_own = origin is None or origin == _expected_origin(request)
    if not is_own:
        raise FailureError(
            ErrorCode.FORBIDDEN, "A session's cookie is not taken from a page of another origin."
        )


def require_same_origin_json(request: Request) -> None:
    """Refuse a change that a page of another origin could cause, for callers with a cookie.

    A page of any origin can send a form or plain text without asking, but no JSON.

    Raises:
        FailureError: FORBIDDEN.
    """
    if request.method in SAFE_METHODS:
        return
    require_same_origin(request)
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if request.method in _METHODS_WITH_BODY and content_type != JSON:
        raise FailureError(
            ErrorCode.FORBIDDEN, f"With a session's cookie, send 'Content-Type: {JSON}'."
        )


def _expected_origin(request: Request) -> str:
    # Browsers leave out the scheme's own port in both headers.
    return f"{request.url.scheme}://{request.headers.get('Host', '').lower()}"
