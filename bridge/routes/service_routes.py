"""Routes about the service itself: health, readiness and the list of identities."""

from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bridge.connection import NatsPort
from bridge.problems import problem_docs
from bridge.routes.unstable_routes import IDENTITIES_PATH as UNSTABLE_IDENTITIES_PATH
from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Identities
from pylon_client.contract.operation import Scope
from pylon_client.contract.reads import IDENTITIES

HEALTH_PATH: Final = "/health"


class Health(BaseModel):
    """Health of the bridge."""

    status: Literal["ok"] = "ok"
    nats_connected: bool = Field(description="Whether requests can reach the chain workers.")


def add_service_routes(router: APIRouter, settings: DeploymentSettings, nats: NatsPort) -> None:
    """Add the health routes and the public list of identities."""
    identities = Identities(
        identities={name: of.netuid for name, of in settings.identity_settings.items()}
    )

    async def health() -> Health:
        return Health(nats_connected=nats.is_connected)

    async def ready() -> Health:
        if not nats.is_connected:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "Not connected to NATS.")
        return Health(nats_connected=True)

    async def list_identities() -> Identities:
        return identities

    router.add_api_route(
        HEALTH_PATH,
        health,
        operation_id="health",
        tags=["service"],
        summary="Whether the process runs; 200 even without NATS, since a restart would not help",
        responses=problem_docs(),
    )
    router.add_api_route(
        "/health/ready",
        ready,
        operation_id="health_ready",
        tags=["service"],
        summary="Whether requests can be served",
        responses=problem_docs(ErrorCode.NATS_UNAVAILABLE),
    )
    for path in (IDENTITIES.rest_path(Scope.OPEN), UNSTABLE_IDENTITIES_PATH):
        router.add_api_route(
            path,
            list_identities,
            operation_id="identities",
            tags=["service"],
            summary=f"{IDENTITIES.summary}; asks for no token",
            responses=problem_docs(),
            include_in_schema=path != UNSTABLE_IDENTITIES_PATH,
        )
