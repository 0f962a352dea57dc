"""The NATS user of workers and of operators' commands."""

from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.subjects import READER_USER, WORKER_USER
from pylon_client.nats.nats_connection import ConnectionOptions


def worker_connection_options(
    settings: DeploymentSettings, name: str, *, is_confined: bool = False
) -> ConnectionOptions:
    """Return the options of a connection; without a configured password it has no credentials.

    Args:
        settings: settings of the deployment.
        name: name of the connection in the server's monitoring.
        is_confined: whether to connect as the user `reader`, which has no access to JetStream.
    """
    password = settings.nats_reader_password if is_confined else settings.nats_worker_password
    secret = password.get_secret_value()
    user = READER_USER if is_confined else WORKER_USER
    return ConnectionOptions(
        urls=tuple(settings.nats_urls),
        user=user if secret else None,
        password=secret,
        name=name,
        inbox_user=user,
        tls=settings.nats_tls,
    )
