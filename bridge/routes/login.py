"""Login of older clients, which send their token once and then the session cookie."""

from typing import Annotated, Final

from fastapi import APIRouter, Cookie, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.auth import Authenticator
from bridge.cross_origin import require_same_origin
from bridge.problems import problem_docs
from bridge.request_body import BODY_ERROR_RESPONSES, body_schema, read_params
from bridge.routes.unstable_routes import UNSTABLE_PREFIX
from bridge.sessions import COOKIE_NAME, SESSION_LIFETIME_S
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.operation import API_PREFIX, Params
from pylon_client.contract.types import IdentityName, NetUid

LOGIN_PATH: Final = "/login/identity/{identity_name}"
LOGOUT_PATH: Final = "/logout"
COOKIE_PATH: Final = "/api"
"""Path of the cookie, behind the prefix of the bridge."""


class Login(Params):
    """The token of the identity in the path; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    token: str = Field(min_length=1, repr=False)


class LoggedIn(BaseModel):
    """The authenticated identity and its subnet."""

    netuid: NetUid
    identity_name: IdentityName


def add_login_routes(router: APIRouter, authenticator: Authenticator) -> None:
    """Add the login and logout routes."""

    async def log_in(identity_name: IdentityName, request: Request, response: Response) -> LoggedIn:
        # Otherwise a foreign page could log a browser in as an identity of its choice.
        require_same_origin(request)
        login = await read_params(request, Login, {})
        identity = authenticator.identity_of_token(identity_name, login.token.encode())
        response.set_cookie(
            COOKIE_NAME,
            authenticator.sessions.create(identity),
            max_age=SESSION_LIFETIME_S,
            path=_cookie_path(request),
            secure=_is_secure(request),
            httponly=True,
            samesite="strict",
        )
        response.headers["Cache-Control"] = "no-store"
        return LoggedIn(netuid=identity.netuid, identity_name=identity.name)

    async def log_out(
        request: Request,
        response: Response,
        cookie: Annotated[str | None, Cookie(alias=COOKIE_NAME, include_in_schema=False)] = None,
    ) -> None:
        require_same_origin(request)
        if cookie is not None:
            authenticator.sessions.end(cookie)
        response.delete_cookie(
            COOKIE_NAME,
            path=_cookie_path(request),
            secure=_is_secure(request),
            httponly=True,
            samesite="strict",
        )
        response.headers["Cache-Control"] = "no-store"

    for prefix in (API_PREFIX, UNSTABLE_PREFIX):
        router.add_api_route(
            f"{prefix}{LOGIN_PATH}",
            log_in,
            methods=["POST"],
            operation_id="login_identity",
            tags=["service"],
            summary="Change an identity's token for a session's cookie, where none can be sent",
            responses={
                **problem_docs(ErrorCode.INVALID, ErrorCode.FORBIDDEN, ErrorCode.NOT_FOUND),
                **BODY_ERROR_RESPONSES,
            },
            openapi_extra=body_schema(Login, frozenset(), {"token": "devnet-sn1-token"}),
            include_in_schema=prefix == API_PREFIX,
        )
        router.add_api_route(
            f"{prefix}{LOGOUT_PATH}",
            log_out,
            methods=["POST"],
            status_code=204,
            operation_id="logout",
            tags=["service"],
            summary="End the session of the cookie, and have the cookie deleted",
            responses=problem_docs(ErrorCode.FORBIDDEN),
            include_in_schema=prefix == API_PREFIX,
        )


def _cookie_path(request: Request) -> str:
    return f"{request.scope.get('root_path', '')}{COOKIE_PATH}"


def _is_secure(request: Request) -> bool:
    """Return whether the request used TLS, to the bridge or to a trusted proxy."""
    return request.url.scheme == "https"
