"""Subjects that a worker serves, by its role, and the wait for the end of the server."""

import asyncio
from typing import Any

import pytest

from pylon.rpc.request_server import ALL_REQUESTS
from pylon.worker import request_thread
from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.operations import JOB_OPERATIONS, NATS_OPERATIONS, Scope
from pylon_client.contract.subjects import ALL_OPEN, ALL_REPLAYS
from tests.support.product.secret_texts import secret_of

PREFIX = "pylon.v1.identity.*."


def subjects_of(role: str) -> tuple[str, ...]:
    served: Any = vars(request_thread)["_request_subjects"]
    return served(WorkerSettings(worker_role=WorkerRole(role)))


def operations_in(subjects: tuple[str, ...]) -> set[str]:
    return {one.removeprefix(PREFIX) for one in subjects if one.startswith(PREFIX)}


def test_a_worker_of_all_roles_serves_everything() -> None:
    assert subjects_of("all") == ALL_REQUESTS


def test_signers_and_readers_share_the_operations_of_identities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signer, reader = subjects_of("signer"), subjects_of("reader")
    every = {row.name for row in NATS_OPERATIONS if Scope.IDENTITY in row.scopes}
    assert operations_in(signer) == JOB_OPERATIONS
    assert operations_in(signer) | operations_in(reader) == every
    assert not operations_in(signer) & operations_in(reader)
    assert ALL_OPEN in reader
    assert ALL_OPEN not in signer
    assert ALL_REPLAYS in signer
    assert ALL_REPLAYS in reader
    monkeypatch.setenv("PYLON_NATS_READER_PASSWORD", secret_of("reader"))
    assert ALL_REPLAYS not in subjects_of("reader"), "it cannot read the stream"


async def test_the_wait_ends_with_the_first_event_and_leaves_no_task() -> None:
    wait: Any = vars(request_thread)["_wait_for_any"]
    events = [asyncio.Event() for _ in range(3)]
    waiting = asyncio.create_task(wait(*events))
    await asyncio.sleep(0)
    assert not waiting.done()
    events[1].set()
    await waiting
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
