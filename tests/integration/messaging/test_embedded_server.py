import asyncio
import contextlib
import logging
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from pylon.common.deployment_settings import DeploymentSettings
from pylon.jetstream.provision import provision_streams
from pylon.nats_server.embedded_server import EmbeddedNats, EmbeddedNatsError
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import WORKER_USER
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings, token_of
from tests.support.product.eventually import HANGS_AFTER_S, comes_true, eventually

ALICE_AND_BOB = {"alice": 1, "Bob": 2}


def settings(**identities: int) -> DeploymentSettings:
    return deployment_settings(identities=identities)


async def as_user(server: EmbeddedNats, user: str) -> NatsConnection:
    password = WORKER_PASSWORD if user == WORKER_USER else token_of(user)
    return await connect(ConnectionOptions((server.url,), user, password))


async def test_it_serves_the_users_of_the_settings_and_stops(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path, settings(alice=1), port=0) as server:
        assert server.port > 0
        pid = server.pid
        alice = await as_user(server, "alice")
        anybody = await connect(ConnectionOptions((server.url,)))
        with pytest.raises(FailureError) as refused:
            await as_user(server, "Bob")
        assert refused.value.code is ErrorCode.FORBIDDEN
        await alice.close()
        await anybody.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(EmbeddedNatsError, match="does not run"):
        _ = server.pid


async def test_its_secrets_are_for_this_user_alone_and_not_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with EmbeddedNats(tmp_path, settings(alice=1), port=0):
            config = tmp_path / "nats" / "nats.conf"
            assert stat.S_IMODE(config.stat().st_mode) == 0o600
            assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert "nats-server: " in caplog.text
    assert token_of("alice") not in caplog.text
    assert WORKER_PASSWORD not in caplog.text


async def test_acknowledged_messages_are_on_disk(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path, settings(), port=0) as server:
        assert "sync_interval: always" in (tmp_path / "nats" / "nats.conf").read_text()
        worker = await as_user(server, WORKER_USER)
        await provision_streams(worker)
        await worker.nats.jetstream().publish("pylon.v1.event.block", b"kept")
        await worker.close()
    async with EmbeddedNats(tmp_path, settings(), port=0) as server:
        worker = await as_user(server, WORKER_USER)
        info = await worker.nats.jetstream().stream_info("PYLON_EVENTS")
        assert info.state.messages == 1
        await worker.close()


async def test_it_starts_once_the_cause_of_a_failed_start_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with EmbeddedNats(tmp_path, settings(), port=0) as server:
        in_its_way = tmp_path / "nats" / "ports"
        shutil.rmtree(in_its_way)
        in_its_way.write_text("no folder")
        os.kill(server.pid, signal.SIGKILL)
        await eventually(lambda: "File exists" in caplog.text)
        in_its_way.unlink()

        async def is_back() -> bool:
            with contextlib.suppress(FailureError):
                await (await as_user(server, WORKER_USER)).close()
                return True
            return False

        await comes_true(is_back)


async def test_a_killed_server_is_restarted_on_its_port(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path, settings(), port=0) as server:
        worker = await as_user(server, WORKER_USER)
        url, pid = server.url, server.pid
        for _ in range(2):
            reconnects = worker.counts.reconnects
            ended = asyncio.create_task(server.wait())
            await asyncio.sleep(0)
            os.kill(server.pid, signal.SIGKILL)
            assert await ended == -signal.SIGKILL
            await eventually(lambda: worker.counts.reconnects > reconnects)  # noqa: B023 -- awaited here
            assert server.url == url
            assert server.pid != pid
        await worker.close()


async def test_other_users_are_reloaded_without_a_restart(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path, settings(alice=1), port=0) as server:
        pid = server.pid
        alice = await as_user(server, "alice")
        await server.reload(settings(alice=1, Bob=2))
        bob = await as_user(server, "Bob")
        assert (alice.counts.disconnects, server.pid) == (0, pid)
        await server.reload(settings(Bob=2))
        async with asyncio.timeout(HANGS_AFTER_S):
            await alice.closed.wait()
        assert bob.counts.disconnects == 0
        await bob.close()


async def test_invalid_users_are_rejected(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path, settings(alice=1), port=0) as server:
        wrong = deployment_settings(identities={"Bob": 2}, tokens={"Bob": "$2a$04$x"})
        with pytest.raises(ValueError, match="bcrypt"):
            await server.reload(wrong)
        assert "alice" in (tmp_path / "nats" / "nats.conf").read_text()
        await (await as_user(server, "alice")).close()


async def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path / "first", settings(), port=0) as first:
        with pytest.raises(EmbeddedNatsError, match=rf"127\.0\.0\.1:{first.port}.*in use"):
            async with EmbeddedNats(tmp_path / "second", settings(), port=first.port):
                pass
        async with EmbeddedNats(tmp_path / "second", settings(), port=0):
            pass


async def test_two_servers_never_share_their_streams(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path, settings(), port=0):
        with pytest.raises(EmbeddedNatsError, match="another embedded NATS"):
            async with EmbeddedNats(tmp_path, settings(), port=0):
                pass
    async with EmbeddedNats(tmp_path, settings(), port=0):
        pass


async def test_without_a_nats_server_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedNatsError, match="install"):
        async with EmbeddedNats(tmp_path, settings(), port=0):
            pass


async def test_a_home_folder_may_have_special_characters(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path / 'a "b" $c {d} é', settings(), port=0):
        pass
