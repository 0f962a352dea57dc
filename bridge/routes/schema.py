"""The API's documentation, complete on this server: nothing of it is fetched from elsewhere."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

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
