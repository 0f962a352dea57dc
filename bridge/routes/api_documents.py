"""The API's documentation, complete on this server: nothing of it is fetched from elsewhere."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse

from bridge.api_examples import add_examples
from pylon.common.deployment_settings import IdentitySettings
from pylon_client.contract.types import IdentityName

SCHEMA_PATH: Final = "/schema"
SWAGGER_PATH: Final = f"{SCHEMA_PATH}/swagger"
ASSETS_PATH: Final = f"{SCHEMA_PATH}/assets"
OPENAPI_PATH: Final = f"{SCHEMA_PATH}/openapi.json"
OAUTH_PATH: Final = f"{SCHEMA_PATH}/oauth2-redirect"


def schema_routes() -> APIRouter:
    """What leads from `/schema` to the page for people."""
    router = APIRouter(include_in_schema=False)

    async def to_swagger(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{SWAGGER_PATH}")

    router.add_api_route(SCHEMA_PATH, to_swagger, response_model=None)
    return router


def add_examples_to_schema(
    app: FastAPI, identities: Mapping[IdentityName, IdentitySettings]
) -> None:
    """Make the OpenAPI document of an app include examples, of its first identity if it has any."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        is_made = app.openapi_schema is not None
        document = make()
        if not is_made:
            add_examples(document, identities)
        return document

    # The framework documents this way of changing its document.
    app.openapi = openapi  # type: ignore[method-assign]
