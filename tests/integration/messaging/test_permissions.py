"""The attacks that the permissions are there to stop, against a live server.

Each says what an attacker who holds only its own token sends, and that nothing came of it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.msg import Msg

from pylon.jetstream.provision import provision_streams
from pylon.nats_server.permissions import MAX_TOKEN_CHARS, PermissionsError, authorization_config
from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import OPERATIONS_BY_NAME
from pylon_client.contract.subjects import ALL_SIGNER_EVENTS
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_server import NatsServer, nats_server_binary
from tests.support.product.deployment import ConnectAs, deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S

BOBS_REQUEST = "pylon.v1.identity.Bob.neurons.latest"
ALICES_REQUEST = "pylon.v1.identity.alice.neurons.latest"
OPEN_REQUEST = "pylon.v1.open.chain.block.latest"
FIRST_EVENT = b'{"number":1}'
DIRECT_GET = f"$JS.API.DIRECT.GET.{EVENTS.name}"


@dataclass
class Pylon:
    """A running worker's service, its stream with one event, and the calls that it received."""

    connect_as: ConnectAs
    worker: NatsConnection
    service: RequestServer
    first_sequence: int
    calls: list[ServiceCall] = field(default_factory=list)

    async def settle(self) -> None:
        """Wait until all messages sent so far are delivered and answered."""
        witness = await self.connect_as("alice")
        before = len(self.calls)
        await witness.request(ALICES_REQUEST, timeout_s=60)
        assert self.calls.pop().identity == "alice"
        assert len(self.calls) == before
        await self.worker.nats.flush()

    async def events(self) -> int:
        return (await self.worker.nats.jetstream().stream_info(EVENTS.name)).state.messages

    async def keeps_the_first(self) -> bool:
        """Return whether the stream still contains the first published event."""
        stored = await self.worker.nats.jetstream().get_msg(EVENTS.name, self.first_sequence)
        return stored.data == FIRST_EVENT


@pytest.fixture
async def pylon(connect_as: ConnectAs) -> AsyncGenerator[Pylon]:
    worker = await connect_as("worker")
    await provision_streams(worker)
    first = await worker.nats.jetstream().publish("pylon.v1.event.block", FIRST_EVENT)
    calls: list[ServiceCall] = []

    async def handler(call: ServiceCall) -> bytes:
        calls.append(call)
        return b""  # empty, as JetStream's API wants a request to delete a stream

    identities = {IdentityName("alice"): NetUid(1), IdentityName("Bob"): NetUid(2)}
    handlers = dict.fromkeys(OPERATIONS_BY_NAME, handler)
    service = RequestServer(worker, handlers, identities=identities, max_requests=10)
    await service.start()
    yield Pylon(connect_as, worker, service, first.seq, calls)
    await service.drain(10)


async def attack(
    connection: NatsConnection, subject: str, *, reply: str = "", body: bytes = b"", **headers: str
) -> None:
    await connection.nats.publish(subject, body, reply=reply, headers=headers or None)
    await connection.nats.flush()


async def test_every_user_can_do_its_task(pylon: Pylon) -> None:
    for user, subject in (
        (None, OPEN_REQUEST),
        ("alice", OPEN_REQUEST),
        ("alice", ALICES_REQUEST),
        ("Bob", BOBS_REQUEST),
        ("bridge", OPEN_REQUEST),
        ("bridge", BOBS_REQUEST),
    ):
        connection = await pylon.connect_as(user)
        await connection.request(subject, timeout_s=60)
    assert [call.identity for call in pylon.calls] == [
        None,
        None,
        "alice",
        "Bob",
        None,
        "Bob",
    ]
    assert [call.netuid for call in pylon.calls] == [None, None, 1, 2, None, 2]


@pytest.mark.parametrize("user", [None, "alice", "Bob", "bridge"])
async def test_every_user_receives_events(pylon: Pylon, user: str | None) -> None:
    reader = await pylon.connect_as(user)
    got: asyncio.Queue[str] = asyncio.Queue()

    async def receive(message: Msg) -> None:
        await got.put(message.subject)

    for subject in EVENTS.subjects:
        await reader.subscribe(subject, receive)
    await reader.nats.flush()
    for subject in ("pylon.v1.event.block", "pylon.v1.event.neurons.1"):
        await pylon.worker.nats.jetstream().publish(subject, b"{}")
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await got.get() == subject


@pytest.mark.parametrize("user", [None, "alice"])
@pytest.mark.parametrize(
    "subject",
    [
        BOBS_REQUEST,
        "pylon.v1.identity.bob.neurons.latest",
        "pylon.v1.event.block",
        "pylon.v1.event.neurons.1",
        "pylon.v1.event.signer.alice",
        "pylon.v1.job.alice.weights",
        f"$JS.API.STREAM.DELETE.{EVENTS.name}",
        f"$JS.API.STREAM.PURGE.{EVENTS.name}",
        f"$JS.API.STREAM.MSG.DELETE.{EVENTS.name}",
        f"$JS.API.STREAM.MSG.GET.{EVENTS.name}",
        f"$JS.API.STREAM.UPDATE.{EVENTS.name}",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.NAMES",
        f"$JS.API.CONSUMER.CREATE.{EVENTS.name}",
        f"{DIRECT_GET}.pylon.v1.event.block",
        DIRECT_GET,
        "$JS.API.INFO",
        "$KV.pylon_leases.x",
        "$SRV.PING",
        "$SYS.REQ.SERVER.PING",
        "_INBOX.Bob.x",
        "_INBOX.worker.x",
    ],
)
async def test_denied_subjects_are_rejected(pylon: Pylon, user: str | None, subject: str) -> None:
    attacker = await pylon.connect_as(user)
    with pytest.raises(FailureError) as caught:
        await attacker.request(subject, timeout_s=600)
    assert caught.value.code is ErrorCode.FORBIDDEN
    await pylon.settle()
    assert (pylon.calls, await pylon.events()) == ([], 1)


@pytest.mark.parametrize("user", [None, "alice"])
@pytest.mark.parametrize(
    "subject",
    [
        "_INBOX.>",
        "_INBOX.Bob.>",
        "_INBOX.*.>",
        ">",
        "pylon.>",
        "pylon.v1.identity.>",
        "pylon.v1.open.>",
        "pylon.v1.event.>",
        "pylon.v1.event.job.Bob.*",
        "pylon.v1.event.signer.*",
        "$JS.>",
        "$SRV.>",
    ],
)
async def test_users_cannot_subscribe_to_subjects_of_others(
    connect_as: ConnectAs, user: str | None, subject: str
) -> None:
    attacker = await connect_as(user)
    received: list[Msg] = []

    async def listen(message: Msg) -> None:
        received.append(message)

    await attacker.subscribe(subject, listen)
    await attacker.nats.flush()
    assert attacker.counts.permission_violations == 1
    worker = await connect_as("worker")
    for published_subject in ("_INBOX.Bob.x", "pylon.v1.event.block", "pylon.v1.event.job.Bob.1"):
        await worker.nats.publish(published_subject, b"")
    await worker.nats.flush()
    await attacker.nats.flush()
    assert received == []


@pytest.mark.parametrize("user", [None, "alice"])
@pytest.mark.parametrize(
    "reply",
    [
        BOBS_REQUEST,
        "pylon.v1.event.block",
        "pylon.v1.event.signer.alice",
        f"$JS.API.STREAM.DELETE.{EVENTS.name}",
        f"$JS.API.STREAM.PURGE.{EVENTS.name}",
        "$SRV.PING",
    ],
)
async def test_a_request_cannot_use_a_worker_as_a_confused_deputy(
    pylon: Pylon, user: str | None, reply: str
) -> None:
    """The worker may publish on the subject and the attacker may not: the worker must not reply."""
    attacker = await pylon.connect_as(user)
    subject = OPEN_REQUEST if user is None else ALICES_REQUEST
    await attack(attacker, subject, reply=reply)
    await pylon.settle()
    assert pylon.service.counts.invalid_replies == 1
    assert (pylon.calls, await pylon.events(), await pylon.keeps_the_first()) == ([], 1, True)
    assert pylon.worker.counts.permission_violations == 0


@pytest.mark.parametrize("subject", [OPEN_REQUEST, ALICES_REQUEST, "$SRV.PING", None])
async def test_the_bridge_cannot_announce_signers(pylon: Pylon, subject: str | None) -> None:
    announced: list[Msg] = []

    async def observe(message: Msg) -> None:
        announced.append(message)

    await pylon.worker.subscribe(ALL_SIGNER_EVENTS, observe)
    await pylon.worker.nats.flush()
    bridge, forged = await pylon.connect_as("bridge"), "pylon.v1.event.signer.alice"
    await attack(bridge, subject or forged, reply=forged if subject else "")
    await pylon.settle()
    assert bridge.counts.permission_violations == (subject is None)
    assert (announced, pylon.worker.counts.permission_violations) == ([], 0)


@pytest.mark.parametrize("reply", ["", "_INBOX.Bob.x", "_INBOX.alicex.y", "_INBOX.alice"])
async def test_an_identity_is_answered_in_its_own_inbox_only(pylon: Pylon, reply: str) -> None:
    await attack(await pylon.connect_as("alice"), ALICES_REQUEST, reply=reply)
    await pylon.settle()
    assert (pylon.calls, pylon.service.counts.invalid_replies) == ([], 1)


async def test_the_server_denies_a_worker_requests_as_an_identity(
    pylon: Pylon,
) -> None:
    await attack(pylon.worker, BOBS_REQUEST, reply="_INBOX.Bob.x")
    await pylon.settle()
    assert pylon.calls == []
    assert pylon.worker.counts.permission_violations == 1


@pytest.mark.parametrize("user", [None, "alice", "bridge"])
@pytest.mark.parametrize("stored_subject", ["pylon.v1.event.block", "pylon.v1.event.neurons.999"])
@pytest.mark.parametrize(
    "reply",
    [
        BOBS_REQUEST,
        "pylon.v1.event.block",
        f"$JS.API.STREAM.DELETE.{EVENTS.name}",
        f"$JS.API.STREAM.PURGE.{EVENTS.name}",
    ],
)
async def test_a_direct_get_cannot_use_jetstream_as_a_confused_deputy(
    pylon: Pylon, user: str | None, stored_subject: str, reply: str
) -> None:
    """JetStream replies to a direct get on any subject: permission would delete the stream."""
    attacker = await pylon.connect_as(user)
    await attack(attacker, f"{DIRECT_GET}.{stored_subject}", reply=reply)
    await pylon.settle()
    assert attacker.counts.permission_violations == 1
    assert (pylon.calls, await pylon.events(), await pylon.keeps_the_first()) == ([], 1, True)


@pytest.mark.parametrize(
    "target", ["pylon.v1.event.block", BOBS_REQUEST, f"$JS.API.STREAM.PURGE.{EVENTS.name}"]
)
async def test_message_tracing_cannot_use_the_server_as_a_confused_deputy(
    pylon: Pylon, target: str
) -> None:
    attacker = await pylon.connect_as("alice")
    await attacker.nats.publish(OPEN_REQUEST, b"", headers={"Nats-Trace-Dest": target})
    await attacker.nats.flush()
    await pylon.settle()
    assert attacker.counts.permission_violations == 1
    assert (pylon.calls, await pylon.events(), await pylon.keeps_the_first()) == ([], 1, True)


async def test_the_answer_to_one_user_is_not_seen_by_another(pylon: Pylon) -> None:
    alice, bob = await pylon.connect_as("alice"), await pylon.connect_as("Bob")
    received: list[Msg] = []

    async def listen(message: Msg) -> None:
        received.append(message)

    await bob.subscribe("_INBOX.Bob.>", listen)
    await bob.nats.flush()
    await alice.request(ALICES_REQUEST, timeout_s=60)
    await bob.nats.flush()
    assert received == []


NASTY = [
    '"',
    '\\"',
    "'",
    "$HOME",
    "$2y10",
    "{}",
    "}}}} user: x",
    "a\nb",
    "a\tb",
    "# no comment",
    "// none",
    "include 'x'",
    "\\x41",
    "\\",
    "12345",
    "1k",
    "true",
    "é✓𝄞",
    " spaced ",
    "a,b;c:d=e",
    "<<",
    "(block)",
    "\x00",
    "\x7f",
]


async def test_exactly_the_configured_token_is_accepted_for_any_text(tmp_path: Path) -> None:
    tokens = {f"user{number}": token for number, token in enumerate(NASTY)}
    chosen = deployment_settings(
        identities=dict.fromkeys(tokens, 1), tokens=tokens, open_access_token='op"en$'
    )
    async with NatsServer(tmp_path, authorization_config(chosen)) as server:
        for user, token in {**tokens, "open": 'op"en$'}.items():
            connection = await connect(ConnectionOptions((server.url,), user, token))
            await connection.close()
            with pytest.raises(FailureError, match="FORBIDDEN"):
                await connect(ConnectionOptions((server.url,), user, token + "x"))
        assert not any(token in server.log for token in NASTY if len(token) > 5)


@given(tokens=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_nats_server_accepts_the_configuration_with_any_tokens(
    tmp_path: Path, tokens: list[str]
) -> None:
    named = {f"user{number}": token for number, token in enumerate(tokens)}
    try:
        text = authorization_config(
            deployment_settings(identities=dict.fromkeys(named, 1), tokens=named)
        )
    except PermissionsError:
        assert any(
            token.startswith("$2") or len(json.dumps(token)) > MAX_TOKEN_CHARS for token in tokens
        )
        return
    path = tmp_path / "nats.conf"
    path.write_text(text)
    checked = asyncio.run(_check(path))
    assert checked == 0


async def _check(path: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        nats_server_binary(), "-t", "-c", str(path), stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()
