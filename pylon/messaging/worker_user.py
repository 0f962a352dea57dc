"""As which NATS user workers and the operator's commands connect."""

from pylon.settings import WorkerSettings
from pylon_client.contract.subjects import READER_USER, WORKER_USER
from pylon_client.transport.connection import ConnectionOptions


def worker_options(settings: WorkerSettings, name: str) -> ConnectionOptions:
    """Return where to connect to, and as which user: without a password, without credentials.

    Args:
        settings: of the worker.
        name: of the connection in the server's monitoring.
    """
    confined = settings.is_confined
    password = settings.nats_reader_password if confined else settings.nats_worker_password
    secret = password.get_secret_value()
    user = READER_USER if confined else WORKER_USER
    return ConnectionOptions(
        urls=tuple(settings.nats_urls),
        user=user if secret else None,
        password=secret,
        name=name,
        tls=settings.nats_tls,
    )
