"""Validation of server URLs; no error repeats a URL, which may contain a secret."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

NATS_SCHEMES: Final = frozenset({"nats", "tls"})


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL; the host may be missing.

    Raises:
        ValueError: the host or the port is not valid.
    """
    invalid = ValueError("whose host or port is not valid")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise invalid from None
    if port == 0 or not url.isprintable() or " " in url:
        raise invalid
    return parts


def check_nats_urls(urls: Sequence[str]) -> None:
    """Check the URLs of NATS servers.

    Raises:
        ValueError: there is no URL, or a URL is not one of NATS or carries credentials.
    """
    if not urls:
        raise ValueError("must be given")
    for url in urls:
        if not _is_nats_url(url):
            raise ValueError("must look like nats://host:port or tls://host:port")
        if "@" in urlsplit(url).netloc:
            raise ValueError("must not carry credentials: configure user and password")


def _is_nats_url(url: str) -> bool:
    try:
        parts = split_url(url)
    except ValueError:
        return False
    return parts.scheme in NATS_SCHEMES and bool(parts.hostname)
