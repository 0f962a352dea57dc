"""Roles of workers."""

import pytest

from pylon.worker.role import WorkerRole


@pytest.mark.parametrize(
    ("role", "signs", "reads"),
    [("reader", False, True), ("signer", True, False), ("all", True, True)],
)
def test_the_role_decides_the_tasks(role: str, *, signs: bool, reads: bool) -> None:
    assert (WorkerRole(role).signs, WorkerRole(role).reads) == (signs, reads)
