"""The SDK's client of one node, and block hashes over separate connections, without a network."""

import json
from typing import Any

import pytest

from pylon.chain import substrate
from pylon.chain.bounds import ImplausibleError
from pylon.chain.chain_guard import ForeignChainError
from pylon.chain.faults import fault_of
from pylon.chain.substrate import Substrate, WrongChainError, block_hashes, node_url
from pylon_client.contract.failures import ErrorCode
from tests.support.chain.fake_chain import hash_of

URL = "ws://node"


class FakeSocket:
    """A WebSocket that answers each request with the next scripted messages."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.sent: list[dict[str, Any]] = []
        self.is_closed = False

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def recv(self) -> str:
        answer = self._answers.pop(0)
        return answer if isinstance(answer, str) else json.dumps(answer)

    async def close(self) -> None:
        self.is_closed = True


def reply(number: int, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def connects_to(monkeypatch: pytest.MonkeyPatch, socket: FakeSocket) -> None:
    async def connect(endpoint: str) -> FakeSocket:
        assert endpoint == URL
        return socket

    monkeypatch.setattr(substrate, "_default_connect", connect)


def test_names_and_urls_are_resolved() -> None:
    assert node_url("finney").startswith("wss://")
    assert node_url("ws://u:p@node/key?x") == "ws://u:p@node/key?x"


async def test_hashes_are_read_over_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    socket = FakeSocket(reply(0, hash_of(0)), reply(9, None))
    connects_to(monkeypatch, socket)
    assert await block_hashes(URL, [0, 9]) == [hash_of(0), None]
    assert [(one["method"], one["params"]) for one in socket.sent] == [
        ("chain_getBlockHash", [0]),
        ("chain_getBlockHash", [9]),
    ]
    assert socket.is_closed


async def test_unrelated_messages_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    unrelated = [{"method": "chain_newHead"}, [], 7, reply(3, hash_of(3))]
    socket = FakeSocket(*unrelated, reply(5, hash_of(5)))
    connects_to(monkeypatch, socket)
    assert await block_hashes(URL, [5]) == [hash_of(5)]


async def test_a_request_without_a_reply_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    socket = FakeSocket(*[{}] * 200)
    connects_to(monkeypatch, socket)
    with pytest.raises(ConnectionError, match="no reply"):
        await block_hashes(URL, [5])
    assert socket.is_closed


@pytest.mark.parametrize("result", ["0x", 7, [], hash_of(5)[:-1]])
async def test_a_result_that_is_not_a_hash_is_implausible(
    monkeypatch: pytest.MonkeyPatch, result: Any
) -> None:
    connects_to(monkeypatch, FakeSocket(reply(5, result)))
    with pytest.raises(ImplausibleError):
        await block_hashes(URL, [5])


@pytest.mark.parametrize("error", [{"code": -32999, "message": "limit"}, "text", []])
async def test_an_error_of_the_node_is_classified(
    monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    connects_to(monkeypatch, FakeSocket({"id": 5, "error": error}))
    with pytest.raises(Exception, match=r".*") as caught:
        await block_hashes(URL, [5])
    assert fault_of(caught.value).code in {
        ErrorCode.CHAIN_UNAVAILABLE,
        ErrorCode.CHAIN_REJECTED,
    }


async def test_each_websocket_is_checked_before_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    socket = FakeSocket(reply(0, hash_of(0)))
    connects_to(monkeypatch, socket)
    assert await Substrate(URL, checked.append)._open_websocket(URL) is socket
    assert checked == [hash_of(0)]
    assert not socket.is_closed
    unchecked = FakeSocket()
    connects_to(monkeypatch, unchecked)
    assert await Substrate(URL)._open_websocket(URL) is unchecked
    assert unchecked.sent == []


async def test_a_node_of_another_chain_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise ForeignChainError

    socket = FakeSocket(reply(0, hash_of(1)))
    connects_to(monkeypatch, socket)
    with pytest.raises(WrongChainError) as caught:
        await Substrate(URL, refuse)._open_websocket(URL)
    assert fault_of(caught.value).code is ErrorCode.WRONG_CHAIN
    assert socket.is_closed


async def test_a_node_that_cannot_be_checked_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    socket = FakeSocket("{")
    connects_to(monkeypatch, socket)
    with pytest.raises(ValueError, match=r"\w"):
        await Substrate(URL, lambda _: None)._open_websocket(URL)
    assert socket.is_closed


async def test_nothing_is_opened_after_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    connects_to(monkeypatch, FakeSocket())
    client = Substrate(URL)
    connections = [client._interface(URL, []) for _ in range(2)]
    closed: list[int] = []
    for number, connection in enumerate(connections):

        async def close(number: int = number) -> None:
            closed.append(number)

        monkeypatch.setattr(connection, "close", close)
    await client.close()
    assert closed == [0, 1], "those that were never opened too"
    with pytest.raises(ConnectionError, match="closed"):
        await client._open_websocket(URL)
