"""Which chain the state in NATS belongs to, and whether the node is of it."""

from collections.abc import AsyncGenerator

from pylon.chain.chain_guard import refusal_text
from pylon.chain.chain_identity import ChainIdentity
from pylon.chain.endpoint_label import place_of
from pylon.chain.node_probe import NodeProbe
from pylon.cli.check.findings import Finding, failure, ok
from pylon.events.event_log import KeptInStream
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import inspect
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.stored_job import UnreadableEntryError
from pylon.nats_server.worker_user import worker_options
from pylon.worker.binding.adoption import contradiction
from pylon.worker.binding.remedy import remedy
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import EVENTS, JOBS_BUCKET, LEDGER
from pylon_client.nats.nats_connection import Connection, connect

SUBJECT = "state"


async def check_binding(settings: WorkerSettings) -> AsyncGenerator[Finding]:
    """Check that the state belongs to the chain of the node; what is away is found elsewhere."""
    if settings.is_confined:  # which may not read the record
        return
    try:
        connection = await connect(worker_options(settings, "pylon check"))
    except FailureError:
        return
    try:
        if None in [await inspect(connection, plan) for plan in (LEDGER, EVENTS)]:
            return
        node = NodeProbe(settings.bittensor_network, timeout_s=settings.chain_timeout_s)
        chain = ChainIdentity(place_of(settings.bittensor_network), await node.genesis())
        yield await _compare(connection, node, chain)
    except UnreadableEntryError as error:
        yield failure(SUBJECT, error.failure.detail, "run the version that has written it")
    except (FailureError, ValueError):
        return
    finally:
        await connection.close()


async def _compare(connection: Connection, node: NodeProbe, chain: ChainIdentity) -> Finding:
    store = OrderedBucket(connection, JOBS_BUCKET)
    bound = await ChainRecord(store).get()
    if bound is not None and bound.genesis == chain.genesis:
        return ok(SUBJECT, f"belongs to the chain {bound}, as the node does")
    if bound is not None:
        return failure(SUBJECT, refusal_text(bound, chain), remedy(bound))
    found = await contradiction(chain.genesis, node, store, KeptInStream(connection))
    if found is None:
        return ok(SUBJECT, f"belongs to no chain yet; the first worker binds it to {chain}")
    text = f"{refusal_text(found.chain, chain)} ({found.why})"
    return failure(SUBJECT, text, remedy(found.chain))
