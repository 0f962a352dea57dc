"""Durations of chain operations, by operation, node and outcome."""

import asyncio
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.failures import ErrorCode, FailureError

logger = logging.getLogger(__name__)

SUCCESS: Final = "success"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
UNKNOWN_BLOCK: Final = "unknown_block"
"""Status of an operation on a block that the node does not have, or whose state it discarded."""


class OperationTimer:
    """Observes the durations of the operations of one node.

    Args:
        uri: label of the node, without secrets.
        metrics: receives the durations.
    """

    def __init__(self, uri: str, metrics: WorkerMetrics) -> None:
        self._uri = uri
        self._metrics = metrics

    @contextmanager
    def measure(self, operation: str, netuid: str) -> Generator[None]:
        """Measure the block of a `with` statement.

        Args:
            operation: name of the operation.
            netuid: the subnet; empty for an operation on the whole chain.
        """
        started_at_s = time.perf_counter()
        status = ERROR
        try:
            yield
            status = SUCCESS
        except asyncio.CancelledError:
            status = CANCELLED
            raise
        except FailureError as error:
            status = _status_of(error)
            raise
        finally:
            duration_s = time.perf_counter() - started_at_s
            logger.debug("%s of %s took %.3f s: %s", operation, self._uri, duration_s, status)
            # Callers choose the hotkey of a read, so as a label it would have no bound.
            self._metrics.operation_s.labels(operation, status, self._uri, netuid, "").observe(
                duration_s
            )


def _status_of(error: FailureError) -> str:
    """Return the status of an operation that failed."""
    if error.code is ErrorCode.ARCHIVE_REQUIRED:
        return UNKNOWN_BLOCK
    if error.code is ErrorCode.NOT_FOUND:
        # The node did respond: a subnet or neuron that does not exist is a valid result.
        return UNKNOWN_BLOCK if error.failure.detail.startswith("Block ") else SUCCESS
    return ERROR
