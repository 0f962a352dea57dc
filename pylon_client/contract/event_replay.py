"""Asking a worker for published events again: the one part of the contract that only NATS carries.

Over HTTP, streams resume by themselves with `Last-Event-ID`.
"""

from typing import Final

from pydantic import BaseModel

from pylon_client.contract.models import BlockInfo, SubnetNeurons
from pylon_client.contract.operation import Operation, Params
from pylon_client.contract.types import BlockNumberField


class ReplayParams(Params):
    """After which block's event; without one, the newest event is asked for.

    What answers is the event itself: its body, with its block in the headers, and with
    `Pylon-Lost-Blocks` where events before it are no longer kept. Where nothing newer is
    published yet, the answer is NOT_FOUND.
    """

    after: BlockNumberField | None = None


PUBLISHED_BLOCK: Final = Operation(
    name="events.block",
    summary="The first published block after a block, or the newest one",
    params=ReplayParams,
    reply=BlockInfo,
    path="",
    per_subnet=False,
)
PUBLISHED_NEURONS: Final = Operation(
    name="events.neurons",
    summary="The first published neurons of a subnet after a block, or the newest ones",
    params=ReplayParams,
    reply=SubnetNeurons,
    path="",
)

EVENT_OPERATIONS: Final[tuple[Operation[Params, BaseModel], ...]] = (
    PUBLISHED_BLOCK,
    PUBLISHED_NEURONS,
)
