"""The `/metrics` route for Prometheus."""

from fastapi import APIRouter, Request, Response

from bridge.http_metrics import BridgeMetrics
from bridge.metrics_page import MetricsPage
from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.process_metrics import CONTENT_TYPE, metrics_access_error
from pylon_client.contract.failures import ErrorCode, FailureError


def add_metrics_routes(
    router: APIRouter, settings: DeploymentSettings, metrics: BridgeMetrics
) -> None:
    """Add the metrics route, which requires the metrics token."""
    page = MetricsPage(metrics, settings.worker_health_socket, settings.metrics_token)

    async def read(request: Request) -> Response:
        refusal = metrics_access_error(request.headers.get("Authorization"), settings.metrics_token)
        if refusal is not None:
            raise FailureError(ErrorCode.FORBIDDEN, refusal)
        return Response(await page.text(), media_type=CONTENT_TYPE)

    router.add_api_route("/metrics", read, include_in_schema=False)
