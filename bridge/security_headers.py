"""Security headers for browsers, in every response."""

from typing import Final

from bridge.routes.api_documents import SCHEMA_PATH

_API_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
_SWAGGER_POLICY: Final = (
    # The page contains inline scripts and styles.
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; frame-ancestors 'none'"
)
_COMMON: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""`Strict-Transport-Security` is left to the proxy that terminates TLS: it affects a whole host."""
API_SECURITY_HEADERS: Final = (*_COMMON, (b"content-security-policy", _API_POLICY))
_SWAGGER_SECURITY_HEADERS: Final = (*_COMMON, (b"content-security-policy", _SWAGGER_POLICY))


def security_headers(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the security headers of the responses at a path without the bridge's prefix."""
    is_page = path.startswith(f"{SCHEMA_PATH}/")
    return _SWAGGER_SECURITY_HEADERS if is_page else API_SECURITY_HEADERS
