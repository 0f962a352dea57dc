"""Changes of a stream that operators may make, and changes that Pylon rejects."""

from dataclasses import replace
from typing import Any

import pytest
from nats.js.api import (
    DiscardPolicy,
    PersistMode,
    Placement,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
    StreamSource,
    SubjectTransform,
)

from pylon.jetstream.provision import stream_config
from pylon.jetstream.stream_rules import config_differences, describe_differences
from pylon_client.contract.topology import (
    EVENTS,
    JOB_QUEUE,
    JOB_STORE,
    LEADERSHIP,
    LEASES,
    STREAMS,
    StreamPlan,
)

BUCKETS = (JOB_STORE, LEASES, LEADERSHIP)


def changed(plan: StreamPlan, **settings: Any) -> StreamConfig:
    """The stream as the server reports it after an operator has changed some of its settings."""
    made = stream_config(plan, replicas=1)
    as_reported = replace(made, max_msgs=-1, max_bytes=-1, max_msg_size=-1)
    return replace(as_reported, **settings)


ACCEPTED: list[tuple[tuple[StreamPlan, ...], dict[str, Any]]] = [
    (STREAMS, {}),
    (STREAMS, {"num_replicas": 3}),
    (STREAMS, {"compression": StoreCompression.S2}),
    (STREAMS, {"placement": Placement(cluster="other")}),
    (STREAMS, {"description": "of Pylon", "metadata": {"owner": "ops"}}),
    (STREAMS, {"max_msg_size": 8 * 2**20}),
    (STREAMS, {"max_msgs": None, "max_bytes": None, "max_msg_size": None}),
    (STREAMS, {"allow_msg_ttl": True}),
    (STREAMS, {"persist_mode": PersistMode.DEFAULT}),
    ((EVENTS,), {"persist_mode": PersistMode.ASYNC}),
    ((EVENTS,), {"max_msgs_per_subject": 33}),
    ((EVENTS,), {"max_msgs_per_subject": 10_000}),
    ((EVENTS,), {"max_msgs_per_subject": -1}),
    ((EVENTS,), {"duplicate_window": 86_400.0}),
    ((EVENTS,), {"max_bytes": 2**34}),
    ((EVENTS,), {"subjects": [*EVENTS.subjects, "other.>"]}),
    ((JOB_QUEUE,), {"max_msgs_per_subject": 5000}),
    ((JOB_QUEUE,), {"max_msgs": 100_000, "max_bytes": 2**34}),
    ((JOB_QUEUE,), {"subjects": [*JOB_QUEUE.subjects, "other.>"]}),
    (BUCKETS, {"duplicate_window": 1.0}),
    ((LEASES, LEADERSHIP), {"deny_delete": True}),
]


@pytest.mark.parametrize(("plans", "settings"), ACCEPTED, ids=str)
def test_a_compatible_change_is_accepted(
    plans: tuple[StreamPlan, ...], settings: dict[str, Any]
) -> None:
    for plan in plans:
        assert config_differences(plan, changed(plan, **settings)) == [], plan.name


REFUSED: list[tuple[tuple[StreamPlan, ...], dict[str, Any], str, str]] = [
    ((EVENTS,), {"max_msgs_per_subject": 31}, "is 31, not 32 or more", "--max-msgs-per-subject=32"),
    (
        (JOB_QUEUE,),
        {"max_msgs_per_subject": 999},
        "not 1000 or more",
        "--max-msgs-per-subject=1000",
    ),
    (BUCKETS, {"max_msgs_per_subject": 2}, "is 2, not 1 ", "--max-msgs-per-subject=1"),
    (BUCKETS, {"max_msgs_per_subject": -1}, "is -1, not 1 ", "--max-msgs-per-subject=1"),
    ((EVENTS,), {"duplicate_window": 60.0}, "is 60 s, not 3600 s or more", "--dupe-window=3600s"),
    ((JOB_QUEUE,), {"duplicate_window": 3600.0}, "is 3600 s, not 120 s", "--dupe-window=120s"),
    ((EVENTS, JOB_QUEUE, JOB_STORE), {"max_age": 60.0}, "max_age is 60 s, not 0", "--max-age=0"),
    ((LEASES,), {"max_age": 60.0}, "max_age is 60 s, not 15 s", "--max-age=15s"),
    ((LEADERSHIP,), {"max_age": 0.0}, "max_age is 0, not 3 s", "--max-age=3s"),
    (BUCKETS, {"max_bytes": 2**20}, "max_bytes is 1048576, not -1", "--max-bytes=-1"),
    (BUCKETS, {"max_msgs": 5}, "max_msgs is 5, not -1", "--max-msgs=-1"),
    (STREAMS, {"max_msg_size": 1000}, "max_msg_size is 1000", "--max-msg-size=-1"),
    (STREAMS, {"allow_direct": False}, "allow_direct is false", "--allow-direct"),
    ((JOB_STORE,), {"allow_msg_ttl": False}, "allow_msg_ttl is false", "--allow-msg-ttl"),
    (STREAMS, {"no_ack": True}, "no_ack is true, not false", "--ack"),
    (STREAMS, {"subjects": ["other"]}, "subjects is other, not ", "--subjects="),
    ((JOB_QUEUE,), {"discard": DiscardPolicy.OLD}, "discard is old, not new", "--discard=new"),
    (
        (JOB_QUEUE,),
        {"discard_new_per_subject": False},
        "is false, not true",
        "--discard-per-subject",
    ),
    ((EVENTS, *BUCKETS), {"discard": DiscardPolicy.NEW}, "is new, not old", "--discard=old"),
    (STREAMS, {"storage": StorageType.MEMORY}, "storage is memory, not file", "nats stream rm"),
    (STREAMS, {"retention": RetentionPolicy.INTEREST}, "retention is interest", "nats stream rm"),
    (
        (JOB_QUEUE, *BUCKETS),
        {"persist_mode": PersistMode.ASYNC},
        "persist_mode is async",
        "nats stream rm",
    ),
    (STREAMS, {"mirror": StreamSource(name="x")}, "mirror is set", "nats stream rm"),
    (STREAMS, {"sealed": True}, "sealed is true", "nats stream rm"),
    (STREAMS, {"subject_transform": SubjectTransform("a", "b")}, "is set", "nats stream rm"),
    ((JOB_STORE,), {"deny_delete": True}, "deny_delete is true, not false", "nats stream rm"),
]


@pytest.mark.parametrize(("plans", "settings", "wrong", "fix"), REFUSED, ids=str)
def test_an_incompatible_change_is_rejected_with_the_command_that_corrects_it(
    plans: tuple[StreamPlan, ...], settings: dict[str, Any], wrong: str, fix: str
) -> None:
    for plan in plans:
        found = config_differences(plan, changed(plan, **settings))
        text = describe_differences(plan, found)
        assert len(found) == 1, text
        assert wrong in text
        assert fix in text
        assert f"{plan.name} " in text[text.index("`nats stream ") :] or fix == "nats stream rm"


def test_several_settings_are_corrected_by_one_command() -> None:
    found = config_differences(
        EVENTS, changed(EVENTS, max_msgs_per_subject=3, duplicate_window=60.0)
    )
    command = "`nats stream edit PYLON_EVENTS --max-msgs-per-subject=32 --dupe-window=3600s`"
    assert command in describe_differences(EVENTS, found)


def test_replicated_events_are_synced_one_by_one() -> None:
    replicated = stream_config(EVENTS, replicas=3)
    assert (replicated.persist_mode, replicated.compression) == (None, None)
