"""Where a worker answers probes and shows its metrics."""

from contextlib import AsyncExitStack
from pathlib import Path

from pylon.worker.backends import WorkerError
from pylon.worker.health import HealthServer, WorkerHealth
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.settings import WorkerSettings


async def serve_health(
    stack: AsyncExitStack, settings: WorkerSettings, health: WorkerHealth, metrics: WorkerMetrics
) -> None:
    """Answer probes and show metrics until `stack` is closed, where the settings say so.

    Raises:
        WorkerError: it cannot listen there.
    """
    places: list[tuple[str | Path, int]] = []
    if settings.health_port is not None:
        places.append((settings.health_host, settings.health_port))
    if settings.worker_health_socket is not None:
        places.append((settings.worker_health_socket, 0))
    for host, port in places:
        server = HealthServer(
            host, port, health=health, metrics=metrics, metrics_token=settings.metrics_token
        )
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            place = str(host) if isinstance(host, Path) else f"{host} port {port}"
            raise WorkerError(f"it cannot listen on {place}: {error.strerror or error}") from None
