"""Creation and checks of streams, with JetStream's replies by a script."""

import json
import logging
from dataclasses import replace
from typing import Any

import nats.errors
import pytest
from nats.js.api import StreamConfig

from pylon.jetstream import provision
from pylon.jetstream.provision import (
    ProvisionError,
    StorageUsage,
    provision_streams,
    recreate_stream,
    storage_usage,
    stream_config,
    stream_differences,
)
from pylon_client.contract.topology import EVENTS, JOB_QUEUE, JOB_STORE, LEASES
from tests.support.nats.jetstream_api import (
    NO_LEADER,
    STREAM_MISSING,
    Answer,
    api_error,
    connection_of,
)


class Streams:
    """The streams of a server; `faults` are the replies to the first requests."""

    def __init__(self, *faults: Any) -> None:
        self.configs: dict[str, dict[str, Any]] = {}
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.faults = list(faults)

    def __call__(self, subject: str, body: bytes) -> Any:
        if self.faults:
            return self.faults.pop(0)
        *_, operation, name = subject.split(".")
        if operation == "INFO":
            known = self.configs.get(name)
            return STREAM_MISSING if known is None else reply(known)
        if operation == "DELETE":
            self.deleted.append(name)
            return {"success": self.configs.pop(name, None) is not None}
        assert operation == "CREATE"
        self.created.append(name)
        self.configs[name] = json.loads(body)
        return reply(self.configs[name])

    def has(self, config: StreamConfig) -> None:
        assert config.name is not None
        self.configs[config.name] = config.as_dict()


def reply(config: dict[str, Any]) -> dict[str, Any]:
    state = {"messages": 0, "bytes": 0, "first_seq": 1, "last_seq": 0, "consumer_count": 0}
    return {"config": config, "state": state, "created": "2026-01-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "RETRY_DELAY_S", 0.0)


async def error_of(answer: Answer) -> str:
    with pytest.raises(ProvisionError) as caught:
        await provision_streams(connection_of(answer), (EVENTS,))
    return str(caught.value)


async def test_missing_streams_are_created_once(caplog: pytest.LogCaptureFixture) -> None:
    streams = Streams()
    streams.has(stream_config(JOB_QUEUE, replicas=1))
    plans = (EVENTS, JOB_QUEUE, LEASES)
    with caplog.at_level(logging.INFO):
        made = await provision_streams(connection_of(streams), plans, replicas=3)
    assert made == streams.created == [EVENTS.name, LEASES.name]
    assert streams.configs[EVENTS.name]["num_replicas"] == 3
    assert f"Created the stream {EVENTS.name}" in caplog.text
    assert await provision_streams(connection_of(streams), plans) == []
    assert streams.created == [EVENTS.name, LEASES.name]


async def test_an_existing_stream_is_never_changed() -> None:
    streams = Streams()
    streams.has(replace(stream_config(EVENTS, replicas=1), max_msgs_per_subject=1))
    text = await error_of(streams)
    assert f"the stream {EVENTS.name} is not usable" in text
    assert "nats stream edit" in text
    assert (streams.created, streams.deleted) == ([], [])


async def test_a_stream_that_the_server_made_otherwise_is_not_usable() -> None:
    streams = Streams(
        STREAM_MISSING,
        reply(replace(stream_config(EVENTS, replicas=1), max_msgs_per_subject=1).as_dict()),
    )
    assert "is not usable" in await error_of(streams)


@pytest.mark.parametrize(
    "fault",
    [
        NO_LEADER,
        nats.errors.TimeoutError(),
        nats.errors.NoRespondersError(),
        ConnectionError("broken"),
        b"{",
        b'{"config": 7}',
    ],
)
async def test_a_server_that_starts_is_waited_for(fault: Any) -> None:
    streams = Streams(fault, fault)
    assert await provision_streams(connection_of(streams), (EVENTS,)) == [EVENTS.name]


async def test_a_stream_that_another_worker_just_created_is_checked_again() -> None:
    streams = Streams(STREAM_MISSING, api_error(400, 10058, "stream name already in use"))
    streams.has(stream_config(EVENTS, replicas=1))
    assert await provision_streams(connection_of(streams), (EVENTS,)) == []


async def test_a_stream_that_exists_after_an_unanswered_request_counts_as_created() -> None:
    streams = Streams(STREAM_MISSING, nats.errors.TimeoutError())
    streams.has(stream_config(EVENTS, replicas=1))
    assert await provision_streams(connection_of(streams), (EVENTS,)) == [EVENTS.name]
    assert not streams.created


async def test_servers_of_the_cluster_that_start_are_waited_for() -> None:
    offline = api_error(400, 10005, "no suitable peers for placement, peer offline")
    streams = Streams(STREAM_MISSING, offline, STREAM_MISSING, offline)
    assert await provision_streams(connection_of(streams), (EVENTS,), replicas=3) == [EVENTS.name]


async def test_a_refused_stream_is_an_error_at_once() -> None:
    streams = Streams(STREAM_MISSING, api_error(400, 10052, "subjects overlap"))
    assert await error_of(streams) == f"NATS refuses the stream {EVENTS.name}: subjects overlap"


async def test_a_server_without_jetstream_is_reported_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provision, "READY_TIMEOUT_S", 0.01)
    assert await error_of(lambda *_: NO_LEADER) == (
        "JetStream did not answer within 0 s: JetStream system temporarily unavailable"
    )
    text = await error_of(lambda *_: api_error(503, 10039, ""))
    assert text.endswith("JetStream is not enabled, or has no leader")


async def test_differences_are_returned_without_a_change() -> None:
    streams = Streams()
    assert await stream_differences(connection_of(streams), EVENTS) is None
    streams.has(stream_config(EVENTS, replicas=1))
    assert await stream_differences(connection_of(streams), EVENTS) == []
    streams.has(replace(stream_config(EVENTS, replicas=1), max_msgs_per_subject=1))
    found = await stream_differences(connection_of(streams), EVENTS)
    assert found is not None
    assert ["max_msgs_per_subject is 1" in one.text for one in found] == [True]
    for broken in (nats.errors.TimeoutError(), b"{"):
        with pytest.raises(ProvisionError, match="JetStream does not answer"):
            await stream_differences(connection_of(Streams(broken)), EVENTS)
    assert streams.created == []


async def test_a_stream_is_emptied_with_its_configuration_and_higher_sequences() -> None:
    streams = Streams()
    for plan in (JOB_STORE, JOB_QUEUE):
        streams.has(replace(stream_config(plan, replicas=3), first_seq=5, max_bytes=77))
        await recreate_stream(connection_of(streams), plan)
        config = streams.configs[plan.name]
        assert (config["num_replicas"], config["max_bytes"]) == (3, 77)
    assert streams.created == streams.deleted == [JOB_STORE.name, JOB_QUEUE.name]
    assert streams.configs[JOB_STORE.name]["first_seq"] > 5
    assert "first_seq" not in streams.configs[JOB_QUEUE.name]


async def test_a_stream_that_cannot_be_emptied_is_named() -> None:
    with pytest.raises(ProvisionError, match=f"the stream {EVENTS.name} was not emptied"):
        await recreate_stream(connection_of(Streams()), EVENTS)


@pytest.mark.parametrize(("limit", "shown"), [(100, 100), (-1, None), (0, None)])
async def test_the_used_storage_has_a_limit_or_none(limit: int, shown: int | None) -> None:
    names = ("max_memory", "max_streams", "max_consumers", "max_ack_pending")
    sizes = ("memory_max_stream_bytes", "storage_max_stream_bytes")
    limits = {**dict.fromkeys((*names, *sizes), -1), "max_bytes_required": False}
    account = {
        **dict.fromkeys(("memory", "streams", "consumers"), 0),
        "storage": 7,
        "api": {"total": 0, "errors": 0},
        "limits": {**limits, "max_storage": limit},
    }
    assert await storage_usage(connection_of(lambda *_: account)) == StorageUsage(7, shown)


async def test_an_account_that_cannot_be_read_is_an_error() -> None:
    for broken in (nats.errors.TimeoutError(), b"{", {}):
        with pytest.raises(ProvisionError, match="JetStream does not answer"):
            await storage_usage(connection_of(lambda *_, broken=broken: broken))


def test_the_first_sequence_of_a_bucket_grows_with_each_millisecond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000_123_456_789)
    assert stream_config(JOB_STORE, replicas=1).first_seq == 1_700_000_000_123
    assert stream_config(EVENTS, replicas=1).first_seq == 1_700_000_000
    assert stream_config(JOB_QUEUE, replicas=1).first_seq is None
