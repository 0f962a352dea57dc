"""Describe the state of a deployment to the operator who sets it aside."""

from collections import Counter
from dataclasses import dataclass

from pylon.blocks.leadership import PUBLISHER_LEASE
from pylon.chain.chain_identity import ChainIdentity
from pylon.jetstream.bucket import Bucket
from pylon.jetstream.lease import Leases
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.open_jobs import all_open_jobs
from pylon.jobs.stored_job import UnreadableEntryError
from pylon.worker.binding.legacy_state_check import UNKNOWN_NETWORK
from pylon_client.contract.topology import JOBS_BUCKET, LEADERSHIP_BUCKET, LEADERSHIP_TTL_S
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import NatsConnection

_LABEL_CHARS = 12


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """The state of a deployment.

    Attributes:
        chain: chain that the state belongs to.
        open_jobs: number of open jobs by identity.
    """

    chain: ChainIdentity
    open_jobs: Counter[IdentityName]

    @property
    def jobs_text(self) -> str:
        """Return the number of open jobs in words."""
        if not self.open_jobs:
            return "no jobs that have not ended"
        each = ", ".join(f"{name}: {count}" for name, count in sorted(self.open_jobs.items()))
        count = self.open_jobs.total()
        what = "1 job that has" if count == 1 else f"{count} jobs that have"
        return f"{what} not ended ({each})"

    @property
    def label(self) -> str:
        """Return the prefix of names of files and folders."""
        return self.chain.genesis.removeprefix("0x")[:_LABEL_CHARS]


async def read_state(connection: NatsConnection) -> DeploymentState:
    """Return the state that the NATS of a deployment holds.

    Raises:
        FailureError: NATS_UNAVAILABLE.
    """
    store = OrderedBucket(connection, JOBS_BUCKET)
    record = ChainRecord(store)
    try:
        chain = await record.get()
    except UnreadableEntryError:
        chain = None
    if chain is None:
        chain = ChainIdentity(UNKNOWN_NETWORK, await record.legacy_genesis() or UNKNOWN_NETWORK)
    return DeploymentState(
        chain, Counter(stored.job.identity for stored in await all_open_jobs(store))
    )


async def has_publisher(connection: NatsConnection) -> bool:
    """Return whether a worker holds the publisher lease.

    Raises:
        FailureError: NATS_UNAVAILABLE.
    """
    leases = Leases(Bucket(connection, LEADERSHIP_BUCKET), LEADERSHIP_TTL_S)
    return await leases.is_held(PUBLISHER_LEASE)
