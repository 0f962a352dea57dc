import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from nats.js.api import PersistMode, StorageType, StoreCompression, StreamConfig

from pylon.jetstream import provision as provisioning
from pylon.jetstream.provision import ProvisionError, provision_streams
from pylon_client.contract.topology import CHANGES, EVENTS, STREAMS
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import ConnectAs


async def config(worker: NatsConnection) -> StreamConfig:
    return (await worker.nats.jetstream().stream_info(EVENTS.name)).config


async def test_the_stream_is_created_as_planned(connect_as: ConnectAs) -> None:
    worker = await connect_as("worker")
    assert await provision_streams(worker) == [plan.name for plan in STREAMS]
    assert await provision_streams(worker) == []
    made = await config(worker)
    assert sorted(made.subjects or []) == sorted(EVENTS.subjects)
    assert made.storage == StorageType.FILE
    assert made.max_msgs_per_subject == 32
    assert made.duplicate_window == 3600
    assert made.allow_direct is True


async def test_only_events_are_acknowledged_before_they_are_on_disk(connect_as: ConnectAs) -> None:
    worker = await connect_as("worker")
    await provision_streams(worker)
    stream = worker.nats.jetstream()
    configs = [(await stream.stream_info(plan.name)).config for plan in STREAMS]
    assert [made.name for made in configs if made.persist_mode == PersistMode.ASYNC] == [
        EVENTS.name,
        CHANGES.name,
    ]
    assert [made.name for made in configs if made.compression == StoreCompression.S2] == [
        EVENTS.name,
        CHANGES.name,
    ]


async def test_events_that_are_synced_one_by_one_are_accepted_and_not_changed(
    connect_as: ConnectAs,
) -> None:
    worker = await connect_as("worker")
    await provision_streams(worker, (replace(EVENTS, is_recoverable=False),))
    before = await config(worker)
    assert before.persist_mode != PersistMode.ASYNC
    await provision_streams(worker)
    assert await config(worker) == before


async def test_it_is_idempotent_and_safe_to_run_concurrently(connect_as: ConnectAs) -> None:
    workers = [await connect_as("worker") for _ in range(5)]
    await asyncio.gather(*(provision_streams(worker) for worker in workers))
    await workers[0].nats.jetstream().publish("pylon.v1.event.block", b"kept")
    await asyncio.gather(*(provision_streams(worker) for worker in workers))
    assert (await workers[0].nats.jetstream().stream_info(EVENTS.name)).state.messages == 1


async def test_a_stream_that_differs_is_reported_and_not_changed(connect_as: ConnectAs) -> None:
    worker = await connect_as("worker")
    other = replace(EVENTS, max_msgs_per_subject=3, duplicate_window_s=60)
    await provision_streams(worker, (other,))
    before = await config(worker)
    with pytest.raises(ProvisionError) as caught:
        await provision_streams(worker)
    assert "max_msgs_per_subject is 3, not 32 or more" in str(caught.value)
    assert "duplicate_window is 60 s, not 3600 s or more" in str(caught.value)
    assert "storage" not in str(caught.value)
    assert "`nats stream edit PYLON_EVENTS --max-msgs-per-subject=32 --dupe-" in str(caught.value)
    assert await config(worker) == before


async def test_limits_raised_by_an_operator_are_accepted_and_not_changed(
    connect_as: ConnectAs,
) -> None:
    worker = await connect_as("worker")
    await provision_streams(worker)
    stream = worker.nats.jetstream()
    for plan in STREAMS:
        raised = replace(
            (await stream.stream_info(plan.name)).config,
            compression=StoreCompression.S2,
            description="with more than Pylon needs",
            **({} if plan.is_bucket else {"max_msgs_per_subject": 5000}),
        )
        await stream.update_stream(raised)  # pyright: ignore[reportUnknownMemberType] -- the library's **params
    before = await config(worker)
    assert await provision_streams(worker) == []
    assert before.max_msgs_per_subject == 5000
    assert await config(worker) == before


async def test_a_stream_in_memory_is_rejected(connect_as: ConnectAs) -> None:
    worker = await connect_as("worker")
    await worker.nats.jetstream().add_stream(  # pyright: ignore[reportUnknownMemberType] -- the library's **params
        name=EVENTS.name, subjects=["pylon.v1.event.block"], storage=StorageType.MEMORY
    )
    with pytest.raises(ProvisionError, match="storage is memory, not file") as caught:
        await provision_streams(worker)
    assert "subjects is pylon.v1.event.block, not" in str(caught.value)


async def test_a_subject_of_another_stream_is_reported(connect_as: ConnectAs) -> None:
    worker = await connect_as("worker")
    await provision_streams(worker, (replace(EVENTS, name="OTHER"),))
    with pytest.raises(ProvisionError, match="overlap"):
        await provision_streams(worker)


async def test_a_server_without_jetstream_is_reported_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "READY_TIMEOUT_S", 0.5)
    text = 'accounts { A { users: [ { user: "a", password: "b" } ] } }\nno_auth_user: "a"'
    async with NatsServer(tmp_path, text) as server:
        worker = await connect(ConnectionOptions(urls=(server.url,)))
        with pytest.raises(ProvisionError, match="JetStream"):
            await provision_streams(worker)
        await worker.close()
