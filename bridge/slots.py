"""A bound on how many requests, or streams, may be in hand at once."""

from collections.abc import Generator
from contextlib import contextmanager

from pylon_client.contract.failures import ErrorCode, FailureError


class RequestSlots:
    """So many requests at once and no more; nobody queues for a slot."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @contextmanager
    def one(self, refusal: str = "Too many requests are waiting: come again.") -> Generator[None]:
        """Hold a slot within the block.

        Raises:
            FailureError: OVERLOADED, since every slot is taken.
        """
        if not self._free:
            raise FailureError(ErrorCode.OVERLOADED, refusal)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
