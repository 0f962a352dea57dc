"""How processes of the operator's own reach NATS: as the user `worker`."""

from pylon_client.contract.subjects import WORKER_USER
from pylon_client.deployment import DeploymentSettings
from pylon_client.transport.connection import ConnectionOptions


def worker_options(settings: DeploymentSettings, name: str) -> ConnectionOptions:
    """Where to connect to, and as whom: without credentials where there is no password.

    Args:
        settings: of the deployment.
        name: what the connection is called in the server's monitoring.
    """
    password = settings.nats_worker_password.get_secret_value()
    return ConnectionOptions(
        urls=tuple(settings.nats_urls),
        user=WORKER_USER if password else None,
        password=password,
        name=name,
        inbox_user=WORKER_USER,
        tls=settings.nats_tls,
    )
