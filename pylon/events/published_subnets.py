"""Which subnets are published, as the stream of events shows it."""

from typing import Final

import nats.errors
import nats.js.errors
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import readable_replies
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import NetUid
from pylon_client.nats.nats_connection import NatsConnection

TIMEOUT_S: Final = 5.0


async def published_subnets(connection: NatsConnection) -> list[NetUid]:
    """Return the subnets of which the stream holds neurons, in ascending order.

    Raises:
        FailureError: NATS_UNAVAILABLE, JetStream does not answer.
    """
    context = JetStreamContext(connection.nats, timeout=TIMEOUT_S)
    try:
        with readable_replies():
            found = await context.stream_info(EVENTS.name, subjects_filter=ALL_NEURONS_EVENTS)
    except nats.js.errors.NotFoundError:
        return []
    except (nats.errors.Error, OSError) as error:
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"JetStream does not answer: {error}"
        ) from None
    netuids = (subject.rpartition(".")[2] for subject in found.state.subjects or {})
    return sorted(NetUid(int(netuid)) for netuid in netuids if netuid.isdecimal())
