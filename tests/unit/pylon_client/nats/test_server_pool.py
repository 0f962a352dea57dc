from urllib.parse import urlparse

from nats.aio.client import Server

from pylon_client.nats.server_pool import (
    RECONNECT_INITIAL_DELAY_S,
    RECONNECT_MAX_DELAY_S,
    next_server,
    shuffle_nats_urls,
)


def server(name: str, reconnects: int) -> Server:
    return Server(urlparse(f"nats://{name}:4222"), reconnects)


def test_the_server_with_the_fewest_failures_is_next() -> None:
    for _ in range(20):
        chosen, _ = next_server([server("a", 3), server("b", 1), server("c", 2)], {})
        assert chosen is not None
        assert chosen.uri.hostname == "b"


def test_servers_with_equal_failures_are_all_chosen() -> None:
    names: set[str | None] = set()
    while names != {"a", "b", "c"}:
        chosen, _ = next_server([server(name, 0) for name in "abc"], {})
        assert chosen is not None
        names.add(chosen.uri.hostname)


def test_the_delay_grows_to_its_limit_and_is_never_zero() -> None:
    for reconnects in range(200):
        _, wait_s = next_server([server("a", reconnects)], {})
        assert RECONNECT_INITIAL_DELAY_S / 2 <= wait_s <= RECONNECT_MAX_DELAY_S
        if reconnects > 10:
            assert wait_s >= RECONNECT_MAX_DELAY_S / 2


def test_shuffling_keeps_all_urls() -> None:
    urls = tuple(f"nats://host{number}:4222" for number in range(5))
    assert sorted(shuffle_nats_urls(urls)) == sorted(urls)
