"""Reads of stored events from a worker: the only operations without an HTTP endpoint.

Over HTTP, streams resume with `Last-Event-ID`.
"""

from typing import Final

from pydantic import BaseModel

from pylon_client.contract.models import BlockInfo, NeuronChanges, SubnetNeurons
from pylon_client.contract.operation import Operation, Params
from pylon_client.contract.types import BlockNumberField


class ReplayParams(Params):
    """Parameters of a read of a stored event.

    The reply is the event: its body, with its block in the headers, and with `Pylon-Lost-Blocks` if
    events before it are no longer stored. If there is no newer event yet, it is NOT_FOUND.

    Attributes:
        after: return the first event after this block; None returns the newest event.
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
PUBLISHED_CHANGES: Final = Operation(
    name="events.changes",
    summary="The first published changes of a subnet's neurons after a block, or the newest ones",
    params=ReplayParams,
    reply=NeuronChanges,
    path="",
)

EVENT_OPERATIONS: Final[tuple[Operation[Params, BaseModel], ...]] = (
    PUBLISHED_BLOCK,
    PUBLISHED_NEURONS,
    PUBLISHED_CHANGES,
)
