import gzip

import pytest
import zstandard

from bridge.compression import CompressionCache, ContentCoding, preferred_coding


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", ContentCoding.GZIP),
        ("gzip, zstd", ContentCoding.ZSTD),
        ("gzip;q=1, zstd;q=0.5", ContentCoding.GZIP),
        ("*", ContentCoding.ZSTD),
        ("*;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=many", None),
        ("GZIP", ContentCoding.GZIP),
    ],
)
def test_the_coding_with_the_highest_weight_is_preferred(
    accept_encoding: str, coding: ContentCoding | None
) -> None:
    assert preferred_coding(accept_encoding) is coding


def test_equal_bodies_are_compressed_once_per_coding() -> None:
    cache = CompressionCache()
    body = b"a" * 5000
    assert gzip.decompress(cache.get("key", body, ContentCoding.GZIP)) == body
    assert zstandard.decompress(cache.get("key", body, ContentCoding.ZSTD)) == body
    assert cache.get("key", body, ContentCoding.GZIP) is cache.get("key", body, ContentCoding.GZIP)
    assert cache.compression_count == 2


def test_the_least_recently_used_body_is_evicted() -> None:
    size = len(CompressionCache().get("key", bytes(5000), ContentCoding.GZIP))
    cache = CompressionCache(max_bytes=2 * size)
    for key in ("first", "second", "first", "third", "first"):
        cache.get(key, bytes(5000), ContentCoding.GZIP)
    assert cache.compression_count == 3
    cache.get("second", bytes(5000), ContentCoding.GZIP)
    assert cache.compression_count == 4
