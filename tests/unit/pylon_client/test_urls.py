"""Validation of server URLs; no error repeats a URL."""

import pytest

from pylon_client.urls import check_nats_urls, split_url


@pytest.mark.parametrize("url", ["http://a:0", "http://a:99999", "http://a:b", "http://[a", "a b"])
def test_an_invalid_host_or_port_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="host or port is not valid") as raised:
        split_url(url)
    assert url not in str(raised.value)


def test_a_valid_url_is_split() -> None:
    parts = split_url("nats://host:4222")
    assert (parts.scheme, parts.hostname, parts.port) == ("nats", "host", 4222)


@pytest.mark.parametrize(
    ("urls", "reason"),
    [
        ([], "must be given"),
        (["http://a:4222"], "must look like nats://"),
        (["nats://a", "nats://"], "must look like nats://"),
        (["nats://user:secret@a"], "must not carry credentials"),
    ],
)
def test_invalid_nats_urls_are_rejected_without_repeating_them(
    urls: list[str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        check_nats_urls(urls)
    assert "secret" not in str(raised.value)


def test_valid_nats_urls_are_accepted() -> None:
    check_nats_urls(["nats://a:4222", "tls://b"])
