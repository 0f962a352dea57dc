"""Check that the state in NATS belongs to the chain of the node."""

from collections.abc import AsyncGenerator

from pylon.chain.chain_guard import mismatch_text
from pylon.chain.chain_identity import ChainIdentity
from pylon.chain.endpoint_label import endpoint_label
from pylon.chain.node_probe import NodeProbe
from pylon.cli.check.findings import Finding, failure, ok
from pylon.events.event_log import EventLog
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import stream_differences
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.stored_job import UnreadableEntryError
from pylon.nats_server.worker_user import worker_connection_options
from pylon.worker.binding.legacy_state_check import find_mismatch
from pylon.worker.binding.remedy import mismatch_remedy
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import EVENTS, JOB_STORE, JOBS_BUCKET
from pylon_client.nats.nats_connection import NatsConnection, connect

SUBJECT = "state"


async def check_binding(settings: WorkerSettings) -> AsyncGenerator[Finding]:
    """Check that the state belongs to the chain of the node; other checks report outages."""
    if settings.uses_reader_user:  # this user may not read the record
        return
    try:
        connection = await connect(worker_connection_options(settings, "pylon check"))
    except FailureError:
        return
    try:
        if None in [await stream_differences(connection, plan) for plan in (JOB_STORE, EVENTS)]:
            return
        node = NodeProbe(settings.bittensor_network, timeout_s=settings.chain_timeout_seconds)
        chain = ChainIdentity(endpoint_label(settings.bittensor_network), await node.genesis())
        yield await _compare(connection, node, chain)
    except UnreadableEntryError as error:
        yield failure(SUBJECT, error.failure.detail, "run the version that has written it")
    except (FailureError, ValueError):
        return
    finally:
        await connection.close()


async def _compare(connection: NatsConnection, node: NodeProbe, chain: ChainIdentity) -> Finding:
    store = OrderedBucket(connection, JOBS_BUCKET)
    bound = await ChainRecord(store).get()
    if bound is not None and bound.genesis == chain.genesis:
        return ok(SUBJECT, f"belongs to the chain {bound}, as the node does")
    if bound is not None:
        return failure(SUBJECT, mismatch_text(bound, chain), mismatch_remedy(bound))
    found = await find_mismatch(chain.genesis, node, store, EventLog(connection))
    if found is None:
        return ok(SUBJECT, f"belongs to no chain yet; the first worker binds it to {chain}")
    text = f"{mismatch_text(found.chain, chain)} ({found.reason})"
    return failure(SUBJECT, text, mismatch_remedy(found.chain))
