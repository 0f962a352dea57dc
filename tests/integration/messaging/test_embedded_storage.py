"""The embedded NATS on a disk that is really full, and then has space again."""

from pathlib import Path

import pytest
from nats.js.client import JetStreamContext

from pylon.jetstream.provision import provision_streams
from pylon.jetstream.write_health import NotAcknowledgedError, WriteHealth
from pylon.nats_server.embedded_server import EmbeddedNats, EmbeddedNatsError
from pylon_client.contract.subjects import WORKER_USER
from pylon_client.contract.topology import JOB_STORE
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from tests.support.nats.small_disk import small_disk
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import comes_true, eventually

VALUE = bytes(3000)


async def test_it_stores_again_once_there_is_space_and_has_lost_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    health = WriteHealth()
    with small_disk(tmp_path / "disk") as disk:
        async with EmbeddedNats(disk.path, deployment_settings(), port=0) as server:
            worker = await connect(ConnectionOptions((server.url,), WORKER_USER, WORKER_PASSWORD))
            await provision_streams(worker)
            stream = JetStreamContext(worker.nats, timeout=1.0)
            stored: list[int] = []

            async def store() -> bool:
                try:
                    with health.track_write(JOB_STORE.name, worker):
                        ack = await stream.publish(f"$KV.pylon_jobs.a.{len(stored)}", VALUE)
                except NotAcknowledgedError:
                    return False
                stored.append(ack.seq)
                return True

            for _ in range(10):
                assert await store()
            pid = server.pid
            disk.fill()

            async def fails() -> bool:
                return not await store()

            await comes_true(fails)  # the rest of its last file may store a message or two
            await eventually(lambda: "cannot store messages: 0 MiB are free" in caplog.text)
            assert server.pid == pid, "a restart would not help while there is no space"
            assert caplog.text.count("no space left on device") == 1, "it is logged once"

            disk.free()
            await eventually(lambda: worker.counts.reconnects == 1)
            await comes_true(store)
            assert "restarting the embedded NATS" in caplog.text
            for number in range(len(stored)):
                found = await stream.get_last_msg(JOB_STORE.name, f"$KV.pylon_jobs.a.{number}")
                assert (found.seq, found.data) == (stored[number], VALUE)
            assert stored == sorted(set(stored))
            await worker.close()


async def test_on_a_full_disk_it_says_so_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", mib=1) as disk:
        disk.fill()
        with pytest.raises(
            EmbeddedNatsError, match=r"No space left on device.*free space.*PYLON_HOME"
        ):
            async with EmbeddedNats(disk.path, deployment_settings(), port=0):
                pass
