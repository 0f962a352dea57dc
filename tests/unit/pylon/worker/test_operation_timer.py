"""The label `status` of operations on the chain, as the published service names it."""

import asyncio
import contextlib

import pytest

from pylon.worker.metrics import WorkerMetrics
from pylon.worker.operation_timer import OperationTimer
from pylon_client.contract.failures import ErrorCode, FailureError


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (None, "success"),
        (RuntimeError("a bug"), "error"),
        (FailureError(ErrorCode.CHAIN_UNAVAILABLE, "It is away."), "error"),
        (FailureError(ErrorCode.CHAIN_TIMEOUT, "It is slow."), "error"),
        (asyncio.CancelledError(), "cancelled"),
        (FailureError(ErrorCode.ARCHIVE_REQUIRED, "Discarded."), "unknown_block"),
        (FailureError(ErrorCode.NOT_FOUND, "Block 7 not found."), "unknown_block"),
        # The node did respond.
        (FailureError(ErrorCode.NOT_FOUND, "Subnet 9 not found."), "success"),
    ],
)
def test_an_operation_has_the_published_status(end: BaseException | None, status: str) -> None:
    metrics = WorkerMetrics()
    timer = OperationTimer("ws://node", metrics)
    with (
        contextlib.nullcontext() if end is None else pytest.raises(type(end)),
        timer.measure("block", "7"),
    ):
        if end is not None:
            raise end
    labels = {"operation": "block", "uri": "ws://node", "netuid": "7", "hotkey": ""}
    name = "pylon_bittensor_operation_duration_seconds_count"
    found = {
        each: metrics.registry.get_sample_value(name, {**labels, "status": each})
        for each in ("success", "error", "cancelled", "unknown_block")
    }
    assert found == {**dict.fromkeys(found), status: 1}
