"""Protection against cross-site requests that a browser sends with a session cookie."""

from typing import Final

from fastapi import Request

from pylon_client.contract.failures import ErrorCode, FailureError

JSON: Final = "application/json"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_SAME_ORIGIN_SITES: Final = frozenset({"same-origin", "none"})
"""Values of `Sec-Fetch-Site` for pages of this origin, and for navigation by the user."""


def require_same_origin(request: Request) -> None:
    """Reject requests that a page of another origin caused; requests without a browser pass.

    The cookie's `SameSite` does not suffice: another port of the same host is the same site.

    Raises:
        FailureError: FORBIDDEN.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        # The browser compares the origins itself, so proxies that change the host do not matter.
        is_own = site in _SAME_ORIGIN_SITES
    else:
        origin = request.headers.get("Origin")
        is_own = origin is None or origin == _expected_origin(request)
    if not is_own:
        raise FailureError(
            ErrorCode.FORBIDDEN, "Session cookies are not accepted from pages of another origin."
        )


def require_same_origin_json(request: Request) -> None:
    """Reject writes with a cookie that a page of another origin could cause.

    Pages of any origin can send forms and plain text without a preflight request, but not JSON.

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
    # Browsers omit the scheme's default port in both headers.
    return f"{request.url.scheme}://{request.headers.get('Host', '').lower()}"
