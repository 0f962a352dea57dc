"""NATS over TLS: tokens are sent only to servers with a trusted certificate."""

import asyncio
import json
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from pylon_client.contract import json_codec
from pylon_client.contract.operations import LATEST_BLOCK
from pylon_client.contract.subjects import OpenSubject
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from pylon_client.testing import sample_block_info
from pylon_client.v1 import ASYNC_DEFAULT_RETRIES, AsyncConfig, AsyncPylonClient, BasePylonException
from tests.support.nats.nats_server import NatsServer
from tests.support.product.certificates import Authority
from tests.support.product.secret_texts import secret_of

TOKEN = secret_of("alice")


def config(port: int) -> AsyncConfig:
    return AsyncConfig(
        address=f"tls://127.0.0.1:{port}",
        identity_name="alice",
        identity_token=TOKEN,
        open_access_token=TOKEN,
        retry=ASYNC_DEFAULT_RETRIES.copy(stop=lambda _: True),
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def tls_of(authority: Authority) -> str:
    issued = authority.issue("server")
    return f"""tls {{ cert_file: "{issued.cert}", key_file: "{issued.key}" }}"""


async def test_a_server_with_a_trusted_certificate_replies(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    async with NatsServer(tmp_path, tls_of(authority)) as server:
        worker = await connect(ConnectionOptions((f"tls://127.0.0.1:{server.port}",)))
        block = sample_block_info()

        async def answer(message: Msg) -> None:
            await message.respond(json_codec.encode(block))

        await worker.nats.subscribe(str(OpenSubject(None, LATEST_BLOCK.name)), cb=answer)
        await worker.nats.flush()
        async with AsyncPylonClient(config(server.port)) as client:
            assert await client.open_access.get_latest_block_info() == block
        await worker.close()


async def test_a_server_with_an_untrusted_certificate_is_rejected(
    tmp_path: Path, authority: Authority
) -> None:
    async with (
        NatsServer(tmp_path, tls_of(authority)) as server,
        AsyncPylonClient(config(server.port)) as client,
    ):
        with pytest.raises(BasePylonException):
            await client.open_access.get_latest_block_info()


@pytest.mark.parametrize("info", [{}, {"tls_available": True}, {"tls_required": False}])
async def test_a_server_without_tls_gets_no_token(info: dict[str, bool]) -> None:
    received = bytearray()
    visits = 0

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        offer = {"server_id": "x", "version": "2.14.0", "max_payload": 1_048_576, **info}
        writer.write(b"INFO " + json.dumps(offer).encode() + b"\r\n")
        while data := await reader.read(1024):
            received.extend(data)
        writer.close()

    async with await asyncio.start_server(listener, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        async with AsyncPylonClient(config(port)) as client:
            with pytest.raises(BasePylonException, match="does not offer TLS"):
                await client.identity.get_latest_neurons()
            with pytest.raises(BasePylonException, match="does not offer TLS"):
                await client.open_access.get_latest_block_info()
    assert visits
    assert not received
