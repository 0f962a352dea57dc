"""The reads of the service itself."""

from typing import Final

from pylon_client.contract.models import Identities
from pylon_client.contract.operation import NoParams, Operation

IDENTITIES: Final = Operation(
    name="identities",
    summary="The identities of this service and their subnets",
    params=NoParams,
    reply=Identities,
    path="/identities",
    per_subnet=False,
)
