"""Which NATS holds the state of a deployment, and a connection to it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from pylon.cli.backup.backup_file import BackupError
from pylon.events.signer_events import SignerEvents
from pylon.jetstream.provision import ProvisionError, provision
from pylon.jobs.signer_directory import ANNOUNCE_EVERY_S
from pylon.nats_server.embedded_server import EmbeddedNats, EmbeddedNatsError
from pylon.nats_server.permissions import PermissionsError
from pylon.nats_server.worker_user import worker_options
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import JOBS, LEDGER
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import Connection, connect
from pylon_client.nats.nats_errors import Denied

LISTEN_S: Final = ANNOUNCE_EVERY_S + 1
"""Seconds within which every running signer announces itself."""


@contextlib.asynccontextmanager
async def connected(
    settings: WorkerSettings, home: Path | None, name: str
) -> AsyncGenerator[Connection]:
    """Connect to the NATS of a deployment within the block; its ledger and its queue exist.

    Args:
        settings: of its worker.
        home: the folder of a stopped Pylon, whose nats-server runs within the block; None for a
            NATS that runs.
        name: of the connection in the server's monitoring.

    Raises:
        BackupError: NATS cannot be reached or started, or is not as Pylon needs it.
    """
    try:
        async with contextlib.AsyncExitStack() as stack:
            if home is not None:
                settings = settings.model_copy(update=_of_embedded())
                nats = await stack.enter_async_context(EmbeddedNats(home, settings, port=0))
                settings = settings.model_copy(update={"nats_url": nats.url})
            connection = await connect(worker_options(settings, name))
            stack.push_async_callback(connection.close)
            await _provide(connection, settings.nats_stream_replicas)
            yield connection
    except (EmbeddedNatsError, PermissionsError, ProvisionError) as error:
        raise BackupError(str(error)) from None
    except FailureError as error:
        raise BackupError(error.failure.detail) from None


async def _provide(connection: Connection, replicas: int) -> None:
    """Make the ledger and the queue if they are missing.

    Raises:
        BackupError: NATS does not allow it; it would otherwise be found by a timeout alone.
    """
    denied: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_denial(_: Denied, failure: FailureError) -> None:
        if not denied.done():
            denied.set_result(failure.failure.detail)

    forget = connection.on_denial(on_denial)
    making = asyncio.create_task(provision(connection, (LEDGER, JOBS), replicas=replicas))
    try:
        await asyncio.wait({making, denied}, return_when=asyncio.FIRST_COMPLETED)
        if denied.done():
            raise BackupError(
                f"NATS refuses it: {denied.result()} Set PYLON_NATS_WORKER_PASSWORD, and give NATS "
                "the users that `pylon nats-conf` makes"
            )
        await making
    finally:
        forget()
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)


def _of_embedded() -> dict[str, object]:
    return {
        "nats_worker_password": SecretStr(secrets.token_urlsafe(24)),
        "nats_bridge_password": SecretStr(secrets.token_urlsafe(24)),
        "nats_ca_file": None,
        "nats_client_cert_file": None,
        "nats_stream_replicas": 1,
    }


async def running_signers(connection: Connection) -> set[IdentityName]:
    """Return the identities whose workers run; it takes `LISTEN_S` seconds."""
    found: set[IdentityName] = set()
    await SignerEvents(connection).subscribe(lambda identity, _: found.add(identity))
    await asyncio.sleep(LISTEN_S)
    return found
