"""Which NATS holds the state of a deployment, and a connection to it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from pylon.backup.backup_file import BackupError
from pylon.jobs.signers import ANNOUNCE_EVERY_S
from pylon.messaging.embedded import EmbeddedNats, EmbeddedNatsError
from pylon.messaging.permissions import PermissionsError
from pylon.messaging.provision import ProvisionError, provision
from pylon.messaging.signer_events import SignerEvents
from pylon.messaging.worker_user import worker_options
from pylon.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import JOBS, LEDGER
from pylon_client.contract.types import IdentityName
from pylon_client.transport.connection import Connection, connect

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
            await provision(connection, (LEDGER, JOBS), replicas=settings.nats_stream_replicas)
            yield connection
    except (EmbeddedNatsError, PermissionsError, ProvisionError) as error:
        raise BackupError(str(error)) from None
    except FailureError as error:
        raise BackupError(error.failure.detail) from None


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
