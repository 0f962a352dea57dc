"""URLs of servers, checked before anybody connects; no text repeats one: it may hold a secret."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

NATS_SCHEMES: Final = frozenset({"nats", "tls"})


def split_url(url: str) -> SplitResult:
    """A URL's parts; whether it has a host is left to the caller.

    Raises:
        ValueError: its host or its port is none.
    """
    unfit = ValueError("whose host or port cannot be one")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise unfit from None
    if port == 0 or not url.isprintable() or " " in url:
        raise unfit
    return parts


def check_nats_urls(urls: Sequence[str]) -> None:
    """Refuse what no connection to NATS can ever be made with.

    Raises:
        ValueError: there is no URL, or one is of something else, or carries credentials.
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
