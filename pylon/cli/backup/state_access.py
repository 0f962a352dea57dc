"""Connect to the NATS that holds the state of a deployment."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from pylon.cli.backup.backup_file import BackupError
from pylon.events.signer_events import SignerEvents
from pylon.jetstream.provision import ProvisionError, provision_streams
from pylon.jobs.signer_directory import ANNOUNCE_INTERVAL_S
from pylon.nats_server.embedded_server import EmbeddedNats, EmbeddedNatsError
from pylon.nats_server.permissions import PermissionsError
from pylon.nats_server.worker_user import worker_connection_options
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import NatsConnection, connect
from pylon_client.nats.nats_errors import PermissionViolation

LISTEN_S: Final = ANNOUNCE_INTERVAL_S + 1
"""Seconds within which every running signer announces itself."""


@contextlib.asynccontextmanager
async def connect_to_deployment(
    settings: WorkerSettings, home: Path | None, name: str
) -> AsyncGenerator[NatsConnection]:
    """Yield a connection to the NATS of a deployment; its job store and its job queue exist.

    Args:
        settings: settings of the deployment's worker.
        home: folder of a stopped Pylon, whose nats-server runs within the block; None for a
            running NATS.
        name: name of the connection in the server's monitoring.

    Raises:
        BackupError: NATS cannot be reached or started, or its streams are not as Pylon needs them.
    """
    try:
        async with contextlib.AsyncExitStack() as stack:
            if home is not None:
                settings = settings.model_copy(update=_embedded_settings())
                nats = await stack.enter_async_context(EmbeddedNats(home, settings, port=0))
                settings = settings.model_copy(update={"nats_url": nats.url})
            connection = await connect(worker_connection_options(settings, name))
            stack.push_async_callback(connection.close)
            await _provision(connection, settings.nats_stream_replicas)
            yield connection
    except (EmbeddedNatsError, PermissionsError, ProvisionError) as error:
        raise BackupError(str(error)) from None
    except FailureError as error:
        raise BackupError(error.failure.detail) from None


async def _provision(connection: NatsConnection, replicas: int) -> None:
    """Create the job store and the job queue if they are missing.

    Raises:
        BackupError: NATS denies it; without this check, only a timeout would show it.
    """
    denied: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_denial(_: PermissionViolation, failure: FailureError) -> None:
        if not denied.done():
            denied.set_result(failure.failure.detail)

    unsubscribe = connection.on_permission_violation(on_denial)
    provisioning = asyncio.create_task(
        provision_streams(connection, (JOB_STORE, JOB_QUEUE), replicas=replicas)
    )
    try:
        await asyncio.wait({provisioning, denied}, return_when=asyncio.FIRST_COMPLETED)
        if denied.done():
            raise BackupError(
                f"NATS denies access to its streams: {denied.result()} "
                "Set PYLON_NATS_WORKER_PASSWORD, and give NATS the users "
                "that `pylon nats-conf` generates"
            )
        await provisioning
    finally:
        unsubscribe()
        provisioning.cancel()
        await asyncio.gather(provisioning, return_exceptions=True)


def _embedded_settings() -> dict[str, object]:
    return {
        "nats_worker_password": SecretStr(secrets.token_urlsafe(24)),
        "nats_bridge_password": SecretStr(secrets.token_urlsafe(24)),
        "nats_ca_file": None,
        "nats_client_cert_file": None,
        "nats_stream_replicas": 1,
    }


async def running_signers(connection: NatsConnection) -> set[IdentityName]:
    """Return the identities whose signers run, after listening for `LISTEN_S` seconds."""
    found: set[IdentityName] = set()
    await SignerEvents(connection).subscribe(lambda identity, _: found.add(identity))
    await asyncio.sleep(LISTEN_S)
    return found
