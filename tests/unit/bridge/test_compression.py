import gzip

import pytest
import zstandard

from bridge.compression import Coding, CompressionCache, preferred_coding


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", Coding.GZIP),
        ("gzip, zstd", Coding.ZSTD),
        ("gzip;q=1, zstd;q=0.5", Coding.GZIP),
        ("*", Coding.ZSTD),
        ("*;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=many", None),
        ("GZIP", Coding.GZIP),
    ],
)
def test_the_coding_with_the_highest_weight_is_preferred(
    accept_encoding: str, coding: Coding | None
) -> None:
    assert preferred_coding(accept_encoding) is coding


def test_equal_bodies_are_compressed_once_per_coding() -> None:
    cache = CompressionCache()
    body = b"a" * 5000
    assert gzip.decompress(cache.get("key", body, Coding.GZIP)) == body
    assert zstandard.decompress(cache.get("key", body, Coding.ZSTD)) == body
    assert cache.get("key", body, Coding.GZIP) is cache.get("key", body, Coding.GZIP)
    assert cache.compression_count == 2


def test_the_least_recently_used_body_is_evicted() -> None:
    size = len(CompressionCache().get("key", bytes(5000), Coding.GZIP))
    cache = CompressionCache(max_bytes=2 * size)
    for key in ("first", "second", "first", "third", "first"):
        cache.get(key, bytes(5000), Coding.GZIP)
    assert cache.compression_count == 3
    cache.get("second", bytes(5000), Coding.GZIP)
    assert cache.compression_count == 4
