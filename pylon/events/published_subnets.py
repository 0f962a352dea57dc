"""Subnets whose neurons are published, as listed in the event stream."""

from pylon.jetstream.stream_client import StreamClient
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import NetUid
from pylon_client.nats.nats_connection import NatsConnection


async def published_subnets(connection: NatsConnection) -> list[NetUid]:
    """Return the subnets with neurons in the stream, in ascending order.

    Raises:
        FailureError: NATS_UNAVAILABLE, when JetStream does not answer.
    """
    stream = StreamClient(connection, EVENTS.name, "The event stream")
    subjects = await stream.subjects(ALL_NEURONS_EVENTS)
    netuids = (subject.rpartition(".")[2] for subject in subjects)
    return sorted(NetUid(int(netuid)) for netuid in netuids if netuid.isdecimal())
