"""Streams and buckets."""

from pylon_client.contract.topology import (
    DEFAULT_TIMEOUT_S,
    EVENTS,
    JOB_QUEUE,
    JOB_STORE,
    LEADERSHIP,
    LEASES,
    MAX_REQUEST_BYTES,
    MAX_SMALL_REQUEST_BYTES,
    MAX_TIMEOUT_S,
    STREAMS,
)

NATS_MAX_PAYLOAD_BYTES = 2**20
"""Maximum size of a message of a nats-server with default settings."""


def test_buckets_are_named_as_the_key_value_store_names_them() -> None:
    assert {plan.name for plan in STREAMS if plan.is_bucket} == {
        plan.name for plan in (JOB_STORE, LEASES, LEADERSHIP)
    }
    for plan in (JOB_STORE, LEASES, LEADERSHIP):
        assert plan.subjects == (f"$KV.{plan.name.removeprefix('KV_')}.>",)
        assert plan.max_msgs_per_subject == 1


def test_no_two_streams_store_one_subject() -> None:
    subjects = [subject for plan in STREAMS for subject in plan.subjects]
    assert len(subjects) == len(set(subjects))


def test_only_the_queue_removes_acknowledged_messages() -> None:
    assert [plan for plan in STREAMS if plan.is_work_queue] == [JOB_QUEUE]


def test_a_message_expires_after_the_window_in_which_its_id_is_known() -> None:
    for plan in STREAMS:
        # JetStream rejects a longer window.
        assert plan.max_age_s == 0 or plan.duplicate_window_s <= plan.max_age_s
    assert EVENTS.max_age_s == JOB_STORE.max_age_s == 0


def test_limits_are_in_order() -> None:
    assert MAX_SMALL_REQUEST_BYTES < MAX_REQUEST_BYTES < NATS_MAX_PAYLOAD_BYTES
    assert DEFAULT_TIMEOUT_S < MAX_TIMEOUT_S
