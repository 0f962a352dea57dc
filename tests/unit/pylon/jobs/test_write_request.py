"""Digests and ids of write requests; stored jobs contain them, so they must never change."""

from dataclasses import replace

from pylon.jobs.acceptance_context import AcceptanceContext
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import IdentityName, JobKind, MechanismId, NetUid

REQUEST = WriteRequest(
    IdentityName("alice"),
    NetUid(1),
    JobKind.WEIGHTS,
    {"weights": {"b": 1.0, "a": 2.0}},
    MechanismId(0),
)


def test_digests_and_ids_are_those_of_stored_jobs() -> None:
    assert REQUEST.digest == "hg5uanzuqzrkc7ei7u37x6wl3y"
    assert REQUEST.job_id_by_key("its key") == "pml5lo4vseiwru5qnhpy35jadi"
    assert REQUEST.job_id_after(3) == "hozpaqdxgplr7jb4m2s4oohnni"


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert replace(REQUEST, params={"weights": {"a": 2.0, "b": 1.0}}).digest == REQUEST.digest
    assert replace(REQUEST, params={"weights": {"a": 1.0, "b": 2.0}}).digest != REQUEST.digest


def test_ids_differ_by_key_place_content_and_queue() -> None:
    other_content = replace(REQUEST, params={"weights": {"a": 1.0}})
    other_queue = replace(REQUEST, mechanism=MechanismId(1))
    ids = {
        REQUEST.job_id_by_key("3"),
        REQUEST.job_id_after(3),
        REQUEST.job_id_after(4),
        other_content.job_id_after(3),
        other_queue.job_id_after(3),
        other_queue.job_id_by_key("3"),
    }
    assert len(ids) == 6
    assert other_content.job_id_by_key("3") == REQUEST.job_id_by_key("3")


def test_a_record_has_the_request_and_the_context() -> None:
    request = replace(REQUEST, count=2, submit_after_response=True)
    context = AcceptanceContext(accepted_at_ms=5, genesis="0xa", epoch=None)
    record = request.record(context, request.job_id_after(1), 2)
    assert record.subject == request.subject
    assert (record.number, record.digest, record.request) == (2, request.digest, request.params)
    assert record.unanswered
    job = record.job
    assert (job.state, job.count, job.genesis) == (JobState.ACCEPTED, 2, "0xa")
    assert job.created_at_ms == job.updated_at_ms == 5
