"""Labels of nodes, without the secrets of their URLs."""

import pytest

from pylon.chain.endpoint_label import endpoint_label
from pylon.chain.substrate import node_url
from pylon.chain.subtensor_reader import SubtensorReader
from pylon.chain.subtensor_writer import SubtensorWriter


@pytest.mark.parametrize(
    ("network", "shown"),
    [
        ("finney", "finney"),
        ("wss://user:pass@node.example:443/key/1?apikey=2#3", "wss://node.example:443"),
        ("ws://node.example?key", "ws://node.example"),
        ("ws://[::1]:9944/key", "ws://[::1]:9944"),
    ],
)
def test_a_node_is_named_by_its_host_and_port(network: str, shown: str) -> None:
    assert endpoint_label(network) == shown


@pytest.mark.parametrize("network", ["node.example/secret-key", "http://node.example/secret-key"])
@pytest.mark.parametrize("made", [node_url, SubtensorReader, SubtensorWriter])
def test_an_invalid_network_is_not_in_the_error(network: str, made: type) -> None:
    with pytest.raises(ValueError, match=r"unknown network: choose one of .*finney") as refused:
        made(network)
    assert "secret-key" not in str(refused.value)
