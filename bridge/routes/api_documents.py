"""The API's documentation, served with all its assets: nothing is loaded from other hosts."""

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


def add_schema_routes(router: APIRouter) -> None:
    """Add the redirect from `/schema` to the Swagger page."""

    async def to_swagger(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{SWAGGER_PATH}")

    router.add_api_route(SCHEMA_PATH, to_swagger, response_model=None, include_in_schema=False)


def add_examples_to_schema(
    app: FastAPI, identities: Mapping[IdentityName, IdentitySettings]
) -> None:
    """Add examples to the OpenAPI document of an app, using its first identity if it has any."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        is_made = app.openapi_schema is not None
        document = make()
        if not is_made:
            add_examples(document, identities)
        return document

    # FastAPI documents this way of extending its OpenAPI document.
    app.openapi = openapi  # type: ignore[method-assign]
