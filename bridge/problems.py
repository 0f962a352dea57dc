"""Error responses: one body for all failures, and the headers that belong to an error code."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Mount, Route

from bridge.api_examples import failure_body, failure_examples
from pylon_client.contract import json_codec
from pylon_client.contract.failures import (
    FAILURE_KINDS,
    ErrorCode,
    Failure,
    FailureError,
    InvalidItem,
)

RETRY_AFTER_S: Final = 1
"""Value of `Retry-After` for temporary failures, in seconds."""

_HEADERS: Final[Mapping[ErrorCode, Mapping[str, str]]] = {
    ErrorCode.UNAUTHENTICATED: {"WWW-Authenticate": "Bearer"},
    ErrorCode.OVERLOADED: {"Retry-After": str(RETRY_AFTER_S)},
    ErrorCode.NATS_UNAVAILABLE: {"Retry-After": str(RETRY_AFTER_S)},
    ErrorCode.SHUTTING_DOWN: {"Retry-After": str(RETRY_AFTER_S)},
    ErrorCode.NO_RECENT_SNAPSHOT: {"Retry-After": str(RETRY_AFTER_S)},
}
_FRAMEWORK_CODES: Final = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
}
_STATIC_FILE_METHODS: Final = frozenset({"GET", "HEAD"})

_PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}


class Problem(Failure):
    """The body of every error response."""

    status_code: int


def problem_response(failure: Failure, http_status: int | None = None) -> Response:
    """Return the error response of a failure; `http_status` overrides the status of its code."""
    status = failure.http_status if http_status is None else http_status
    return Response(
        json_codec.encode({"status_code": status, **failure.body()}),
        status_code=status,
        # Without this header, caches may store some statuses, such as 308, permanently.
        headers={"Cache-Control": "no-store", **_HEADERS.get(failure.code, {})},
        media_type="application/json",
    )


def problem_docs(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of the error codes that a route may return.

    The `default` response keeps FastAPI from documenting its own validation error. Only `default`
    names the model, since FastAPI creates a validator for each response with a model, of which
    there would be five hundred.
    """
    docs: dict[int | str, dict[str, Any]] = {
        "default": {
            "model": Problem,
            "description": "Any other failure",
            "content": _problem_content(ErrorCode.INTERNAL),
        }
    }
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        by_status.setdefault(FAILURE_KINDS[code].http_status, []).append(code)
    for status, of_status in by_status.items():
        docs[status] = {
            "description": " or ".join(code.value for code in of_status),
            "content": _problem_content(*of_status),
        }
    return docs


def invalid_docs(status: int, description: str, detail: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI response of code INVALID with the given status."""
    example = failure_body(ErrorCode.INVALID, detail=detail, status=status)
    content = {"application/json": {"schema": _PROBLEM_SCHEMA, "example": example}}
    return {status: {"description": description, "content": content}}


def _problem_content(*codes: ErrorCode) -> dict[str, Any]:
    return {"application/json": {"schema": _PROBLEM_SCHEMA, "examples": failure_examples(codes)}}


def add_exception_handlers(app: FastAPI) -> None:
    """Make all errors of `app` and of the framework return a `Problem` body."""

    @app.exception_handler(FailureError)
    async def on_failure(_request: Request, error: FailureError) -> Response:
        return problem_response(error.failure)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(request: Request, error: RequestValidationError) -> Response:
        return problem_response(
            invalid_request(request, [invalid_item(item) for item in error.errors()]).failure
        )

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        code = _FRAMEWORK_CODES.get(error.status_code, ErrorCode.INVALID)
        response = problem_response(FailureError(code, error.detail).failure, error.status_code)
        response.headers.update(error.headers or {})
        if code is ErrorCode.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(_allowed_methods(request, app.routes))
        return response

    # The decorators registered them.
    del on_failure, on_validation_error, on_http_exception


def _allowed_methods(request: Request, routes: Sequence[BaseRoute]) -> list[str]:
    """Return the methods of all routes at a path; the framework names only one route's methods."""
    scope = request.scope
    # A mount has added its path to `root_path`.
    scope = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    at_path = [
        # Only static files are mounted.
        _STATIC_FILE_METHODS if isinstance(route, Mount) else route.methods or set[str]()
        for route in routes
        if isinstance(route, Route | Mount) and route.matches(scope)[0] is not Match.NONE
    ]
    methods = set[str]().union(*at_path)
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def invalid_request(request: Request, items: list[InvalidItem]) -> FailureError:
    """Return the error of a request whose `items` are invalid."""
    detail = f"Validation failed for {request.method} {request.url.path}"
    return FailureError(ErrorCode.INVALID, detail, extra=items)


def invalid_item(error: Mapping[str, Any]) -> InvalidItem:
    """Convert a pydantic error, whose `loc` begins with the source, such as `body` or `path`."""
    source, *keys = error["loc"]
    return InvalidItem(
        message=error["msg"], key=".".join(map(str, keys)) or None, source=str(source)
    )
