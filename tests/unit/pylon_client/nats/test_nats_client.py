"""The NATS library's client with stricter guarantees, without a server."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import Header

from pylon_client.contract import headers
from pylon_client.nats.nats_client import NoTlsError, PylonNatsClient, ReceivedMsg

INBOX = b"_INBOX.sn1.AbCdEf."


@pytest.fixture
def client() -> Any:
    return PylonNatsClient()


class FakeSubscription:
    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.ended = False

    async def unsubscribe(self) -> None:
        self.ended = True


async def test_messages_know_their_age(client: Any) -> None:
    message = client._build_message(1, b"a.b", b"", b"body", None)
    assert isinstance(message, ReceivedMsg)
    assert message.age_s >= 0
    message.received_at_s -= 10
    assert message.age_s >= 10


async def test_invalid_utf8_in_a_subject_is_replaced(client: Any) -> None:
    message = client._build_message(1, b"a.\xff", b"b.\xfe", b"", None)
    assert (message.subject, message.reply) == ("a.\ufffd", "b.\ufffd")


@pytest.mark.parametrize(("reply", "has_status"), [(b"", True), (b"inbox", False)])
async def test_a_publisher_cannot_forge_a_status_of_the_server(
    client: Any, reply: bytes, *, has_status: bool
) -> None:
    sent = {Header.STATUS.value: "404", "Other": "1"}
    message = client._build_message(1, b"a", reply, b"", sent)
    assert (Header.STATUS.value in message.headers) is has_status
    assert message.headers["Other"] == "1"


@pytest.mark.parametrize("block", [b"nonsense", b"NATS/1.0\r\n\xff\xff: \xff\r\n\r\n", b"\x00"])
async def test_malformed_headers_do_not_stop_a_message(client: Any, block: bytes) -> None:
    assert not await client._process_headers(block)


@pytest.mark.parametrize(
    ("scheme", "info", "first", "is_refused"),
    [
        ("tls", {}, True, True),
        ("tls", {"tls_required": True}, True, False),
        ("nats", {}, True, False),
        ("tls", {}, False, False),
    ],
)
async def test_a_tls_server_without_tls_gets_no_credentials(
    monkeypatch: pytest.MonkeyPatch,
    client: Any,
    scheme: str,
    info: dict[str, Any],
    *,
    first: bool,
    is_refused: bool,
) -> None:
    processed: list[Any] = []

    async def process_info(_: Client, received: Any, initial_connection: object = None) -> None:
        processed.append((received, initial_connection))

    monkeypatch.setattr(Client, "_process_info", process_info)
    client._current_server = SimpleNamespace(uri=SimpleNamespace(scheme=scheme))
    if is_refused:
        with pytest.raises(NoTlsError):
            await client._process_info(info, first)
        assert not processed
    else:
        await client._process_info(info, first)
        assert processed == [(info, first)]


async def test_an_inbox_that_the_server_denies_is_replaced(client: Any) -> None:
    denied, other = FakeSubscription(f"{INBOX.decode()}*"), FakeSubscription("pylon.v1.event.block")
    client._resp_sub_prefix = bytearray(INBOX)
    client._subs = {1: denied, 2: other}
    await client.renew_inbox("_inbox.sn1.another.*")
    assert client._resp_sub_prefix == INBOX
    await client.renew_inbox(f"{INBOX.decode()}*".lower())
    assert client._resp_sub_prefix is None
    assert (denied.ended, other.ended) == (True, False)


async def test_without_an_inbox_nothing_is_replaced(client: Any) -> None:
    await client.renew_inbox("*")
    assert not client._resp_sub_prefix


async def test_a_reply_in_parts_is_delivered_whole(
    monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    delivered: list[bytes] = []

    async def deliver(_: Client, message: Msg) -> None:
        delivered.append(message.data)

    monkeypatch.setattr(Client, "_request_sub_callback", deliver)
    client._resp_map["token"] = object()
    inbox = f"{INBOX.decode()}token"
    for number, body in ((1, b"one "), (2, b"two")):
        sent = {headers.PART: f"{number}/2"}
        await client._request_sub_callback(Msg(client, inbox, "", body, sent))
    await client._request_sub_callback(Msg(client, inbox, "", b"whole", None))
    assert delivered == [b"one two", b"whole"]


async def test_a_pong_after_its_flush_has_timed_out_is_ignored(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    async def send(command: bytes) -> None:
        sent.append(command)

    async def flush_pending() -> None: ...

    monkeypatch.setattr(PylonNatsClient, "is_connected", True)
    monkeypatch.setattr(client, "_send_command", send)
    monkeypatch.setattr(client, "_flush_pending", flush_pending)
    late: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    timely: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    for future in (late, timely):
        await client._send_ping(future)
    late.cancel()
    for _ in range(2):
        await client._process_pong()
    await asyncio.sleep(0)
    assert late.cancelled()
    assert timely.result() is True
    assert len(sent) == 2
