"""The login of older clients, which send their token once and the session's cookie ever after."""

from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.auth import Gatekeeper
from bridge.body import BODY_PROBLEMS, body_schema, read_params
from bridge.problems import problem_docs
from bridge.routes.unstable import UNSTABLE_PREFIX
from bridge.sessions import COOKIE, LIFETIME_S
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.operation import API_PREFIX, Params
from pylon_client.contract.types import IdentityName, NetUid

LOGIN_PATH: Final = "/login/identity/{identity_name}"


class Login(Params):
    """The token of the identity in the path; whatever else is sent means nothing."""

    model_config = ConfigDict(extra="ignore")

    token: str = Field(min_length=1)


class LoggedIn(BaseModel):
    """Who is logged in, and on which subnet."""

    netuid: NetUid
    identity_name: IdentityName


def login_routes(gatekeeper: Gatekeeper) -> APIRouter:
    """Where a token is changed for a cookie."""
    router = APIRouter(tags=["service"])

    async def log_in(identity_name: IdentityName, request: Request, response: Response) -> LoggedIn:
        login = await read_params(request, Login, {})
        identity = gatekeeper.identity_of_token(identity_name, login.token.encode())
        response.set_cookie(
            COOKIE,
            gatekeeper.sessions.begin(identity),
            max_age=LIFETIME_S,
            path="/api",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        response.headers["Cache-Control"] = "no-store"
        return LoggedIn(netuid=identity.netuid, identity_name=identity.name)

    for prefix in (API_PREFIX, UNSTABLE_PREFIX):
        router.add_api_route(
            f"{prefix}{LOGIN_PATH}",
            log_in,
            methods=["POST"],
            operation_id="login_identity",
            summary="Change an identity's token for a session's cookie, where none can be sent",
            responses={
                **problem_docs(ErrorCode.INVALID, ErrorCode.FORBIDDEN, ErrorCode.NOT_FOUND),
                **BODY_PROBLEMS,
            },
            openapi_extra=body_schema(Login, frozenset()),
            include_in_schema=prefix == API_PREFIX,
        )
    return router
