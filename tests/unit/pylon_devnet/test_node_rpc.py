from pylon_devnet.node_rpc import RuntimeCallCache


def test_the_cache_counts_the_overhead_of_short_results() -> None:
    cache = RuntimeCallCache(100 * 1024)
    for number in range(1000):
        cache.put(("Api_method", f"{number:08x}", b""), ((number,), "0x00"))
    held = [number for number in range(1000) if cache.get(("Api_method", f"{number:08x}", b""))]
    assert held == list(range(1000 - len(held), 1000)), "the least used went first"
    assert 50 < len(held) <= 100
