"""Cache of compressed response bodies."""

import contextlib
import gzip
from collections.abc import Hashable
from enum import StrEnum
from typing import Final

import zstandard
from cachetools import LRUCache

MIN_COMPRESS_BYTES: Final = 1024
"""Minimum size of a compressed body, in bytes; smaller bodies fit into one or two packets."""
MAX_CACHE_BYTES: Final = 32 * 1024 * 1024
ZSTD_LEVEL: Final = 3
GZIP_LEVEL: Final = 6


class ContentCoding(StrEnum):
    """Supported content codings, in order of preference if a caller accepts all equally."""

    ZSTD = "zstd"
    GZIP = "gzip"


def preferred_coding(accept_encoding: str) -> ContentCoding | None:
    """Return the coding with the highest weight in an `Accept-Encoding` header.

    None means that the body is sent uncompressed.
    """
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, _, parameters = item.partition(";")
        weights[name.strip()] = _weight(parameters)
    any_weight = weights.get("*", 0.0)
    best = max(ContentCoding, key=lambda coding: weights.get(coding, any_weight))
    best_weight = weights.get(best, any_weight)
    return best if best_weight > 0 and best_weight >= weights.get("identity", 0.0) else None


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


class CompressionCache:
    """LRU cache of compressed bodies, limited to `max_bytes`.

    Compression blocks the event loop for a few milliseconds, once per body and coding.

    Attributes:
        compression_count: number of compressed bodies since the start of the process.
    """

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self.compression_count = 0
        self._cache = LRUCache[tuple[Hashable, ContentCoding], bytes](max_bytes, getsizeof=len)

    def get(self, key: Hashable, body: bytes, coding: ContentCoding) -> bytes:
        """Return `body` compressed; `key` must identify exactly these bytes."""
        cached = self._cache.get((key, coding))
        if cached is not None:
            return cached
        compressed = _compress(body, coding)
        self.compression_count += 1
        with contextlib.suppress(ValueError):  # larger than the whole cache
            self._cache[key, coding] = compressed
        return compressed


def _compress(body: bytes, coding: ContentCoding) -> bytes:
    if coding is ContentCoding.ZSTD:
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    return gzip.compress(body, compresslevel=GZIP_LEVEL, mtime=0)
