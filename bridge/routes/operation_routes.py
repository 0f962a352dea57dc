"""Routes of the contract's operations, generated from the operation table in every scope."""

import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from copy import copy
from string import Formatter
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, WithJsonSchema
from starlette.routing import compile_path

from bridge.auth import Authenticator, IdentityCaller
from bridge.client_disconnects import cancel_on_disconnect
from bridge.connection import NatsPort
from bridge.memory.memory_reads import MemoryReads
from bridge.problems import invalid_request, problem_docs
from bridge.request_body import BODY_ERROR_RESPONSES, body_schema, read_params
from bridge.request_tracing import request_id
from bridge.response_builder import CONDITIONAL_DOCS, READ_DOCS, ResponseBuilder
from bridge.routes.canonical_path import require_canonical_path
from bridge.routes.unstable_routes import needs_no_token, unstable_paths
from bridge.settings import BridgeSettings
from pylon.common.admission import OPEN_CALLER, Admission
from pylon_client.contract import headers, json_codec
from pylon_client.contract.failures import ErrorCode, FailureError, InvalidItem
from pylon_client.contract.operations import OPERATIONS, Operation, Params, Scope
from pylon_client.contract.reads import IDENTITIES, READ_OPERATIONS, RECENT_NEURONS
from pylon_client.contract.subjects import IdentitySubject, OpenSubject
from pylon_client.contract.types import BlockNumber, NetUidField
from pylon_client.contract.writes import (
    CANCEL_JOB,
    GET_JOB,
    LIST_JOBS,
    PUT_MECHANISM_WEIGHTS,
    PUT_WEIGHTS,
)

_COMMON_CODES: Final = (
    ErrorCode.INVALID,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN,
    ErrorCode.NOT_FOUND,
    ErrorCode.OVERLOADED,
    ErrorCode.CHAIN_UNAVAILABLE,
    ErrorCode.NATS_UNAVAILABLE,
    ErrorCode.DEADLINE_EXCEEDED,
)
_IDENTITY_CODES: Final = (ErrorCode.NETUID_MISMATCH,)
_WRITE_CODES: Final = (
    ErrorCode.CONFLICT,
    ErrorCode.SUPERSEDED,
    ErrorCode.CANCELLED,
    ErrorCode.EXPIRED,
    ErrorCode.RATE_LIMITED,
    ErrorCode.CHAIN_REJECTED,
    ErrorCode.NOT_REGISTERED,
    ErrorCode.STAKE_TOO_LOW,
    ErrorCode.RUNTIME_UNSUPPORTED,
    ErrorCode.WRONG_CHAIN,
    ErrorCode.OUTCOME_UNKNOWN,
    ErrorCode.MISCONFIGURED,
)
_CODES_BY_METHOD: Final[Mapping[str, tuple[ErrorCode, ...]]] = {
    "GET": (),
    "PUT": _WRITE_CODES,
    "POST": _WRITE_CODES,
    "DELETE": (ErrorCode.CONFLICT,),  # of a job that is being submitted
}
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT"})
_FAST_OPERATIONS: Final = frozenset(
    operation.name
    for operation in (
        *(PUT_WEIGHTS, PUT_MECHANISM_WEIGHTS, LIST_JOBS, GET_JOB, CANCEL_JOB),
        RECENT_NEURONS,
    )
)
"""Operations that do not wait for the chain or for a job."""
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_AnyOperation = Operation[Params, BaseModel]
_SubjectDependency = Callable[
    ..., Awaitable[OpenSubject | IdentitySubject] | AsyncGenerator[OpenSubject | IdentitySubject]
]
_Endpoint = Callable[..., Awaitable[Response]]


def add_operation_routes(
    router: APIRouter,
    settings: BridgeSettings,
    authenticator: Authenticator,
    nats: NatsPort,
    memory: MemoryReads,
    response_builder: ResponseBuilder,
    count_read: Callable[[str], None] = lambda _: None,
) -> None:
    """Add a route for every operation of the contract in each of its scopes.

    A route authenticates the caller and validates the path. It returns the bytes of a reply
    unchanged: from the memory if it has one, else of a worker, to which it sends one request.

    Args:
        router: receives the routes.
        settings: settings of the bridge.
        authenticator: authenticates the callers.
        nats: connection to NATS.
        memory: replies that the bridge holds.
        response_builder: creates the responses to reads.
        count_read: called with the source of each reply to a read.
    """
    callers = (OPEN_CALLER, *settings.identity_settings)
    # Separate limits: slow requests do not use up the limit of fast ones.
    quick, slow = (
        Admission(settings.bridge_max_requests, callers, resource="requests waiting")
        for _ in range(2)
    )
    routes = [
        (operation, scope)
        for operation in OPERATIONS
        if operation is not IDENTITIES  # served from the settings by add_service_routes
        for scope in operation.scopes
    ]
    aliases: list[tuple[str, APIRoute, _AnyOperation]] = []
    for operation, scope in sorted(routes, key=_route_sort_key):
        of_identity = scope is Scope.IDENTITY
        endpoint = _endpoint(
            operation,
            _subject_dependency(operation, scope, authenticator),
            authenticator,
            settings,
            nats,
            memory,
            count_read,
            quick if operation.name in _FAST_OPERATIONS else slow,
            response_builder,
            is_private=of_identity or authenticator.open_access_needs_token,
        )
        guards = [] if of_identity else authenticator.open_access_dependencies
        router.add_api_route(
            operation.rest_path(scope),
            endpoint,
            methods=[operation.method],
            status_code=operation.success_status,
            response_model=operation.reply,
            responses={
                **problem_docs(
                    *_COMMON_CODES,
                    *(_IDENTITY_CODES if of_identity else ()),
                    *_CODES_BY_METHOD[operation.method],
                ),
                **_read_docs(operation),
                **(BODY_ERROR_RESPONSES if operation.method in _METHODS_WITH_BODY else {}),
            },
            dependencies=guards,
            summary=operation.summary,
            operation_id=f"{scope}_{operation.name.replace('.', '_')}",
            tags=["identity" if of_identity else "open access"],
            openapi_extra=_body_docs(operation),
        )
        route = cast("APIRoute", router.routes[-1])
        aliases.extend((path, route, operation) for path in unstable_paths(operation, scope))
    for path, route, operation in sorted(aliases, key=lambda alias: _path_sort_key(alias[0])):
        if needs_no_token(operation):
            router.add_api_route(
                path,
                route.endpoint,
                methods=[operation.method],
                status_code=operation.success_status,
                response_model=None,
                include_in_schema=False,
            )
        else:
            router.routes.append(_alias_route(route, path))


def _route_sort_key(route: tuple[_AnyOperation, Scope]) -> tuple[list[bool], str]:
    operation, scope = route
    return _path_sort_key(operation.rest_path(scope))


def _path_sort_key(path: str) -> tuple[list[bool], str]:
    """Return a sort key that puts fixed segments, such as `latest`, before path parameters."""
    return [segment.startswith("{") for segment in path.split("/")], path


def _alias_route(route: APIRoute, path: str) -> APIRoute:
    """Return a copy of a route at another path with the same parameters, for no documentation.

    FastAPI would analyse the endpoint of a new route and all its dependencies again. For all
    aliases, that takes a fifth of the time in which the bridge starts.
    """
    alias = copy(route)
    alias.path = path
    alias.path_regex, alias.path_format, alias.param_convertors = compile_path(path)
    alias.include_in_schema = False
    return alias


def _endpoint(
    operation: _AnyOperation,
    subject_dependency: _SubjectDependency,
    authenticator: Authenticator,
    settings: BridgeSettings,
    nats: NatsPort,
    memory: MemoryReads,
    count_read: Callable[[str], None],
    limit: Admission,
    response_builder: ResponseBuilder,
    *,
    is_private: bool,
) -> _Endpoint:
    async def endpoint(
        request: Request,
        subject: Annotated[OpenSubject | IdentitySubject, Depends(subject_dependency)],
        params: Annotated[Params, Depends(_params_dependency(operation))],
        timeout_s: Annotated[
            float | None,
            # A header may be absent, but it cannot be null.
            WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
            Header(
                alias=headers.HTTP_TIMEOUT,
                gt=0,
                allow_inf_nan=False,
                description=(
                    "Timeout of the request in seconds: "
                    f"{settings.default_request_timeout_seconds:g} by default, "
                    f"at most {settings.max_request_timeout_seconds:g}."
                ),
            ),
        ] = None,
    ) -> Response:
        body = json_codec.encode(params)
        of_identity = isinstance(subject, IdentitySubject)
        netuid = (
            settings.identity_settings[subject.identity].netuid if of_identity else subject.netuid
        )
        number: BlockNumber | None = getattr(params, "block_number", None)
        held = memory.find(operation.name, netuid, number)
        if held is None:
            caller = subject.identity if of_identity else authenticator.limit_key(request)
            with limit.admit(caller):
                async with cancel_on_disconnect(request):
                    reply = await nats.request(
                        str(subject),
                        body,
                        headers=_nats_headers(request, subject),
                        timeout_s=settings.request_timeout_s(timeout_s),
                    )
        else:
            reply = held.as_reply()
        source = None
        if operation in READ_OPERATIONS:
            source = headers.SOURCE_WORKER if held is None else headers.SOURCE_MEMORY
            count_read(source)
        return response_builder.build(
            request,
            reply,
            cache_key=(operation.name, netuid, body),
            status=operation.success_status,
            requested_block=number,
            since_block=getattr(params, "since", None),
            is_private=is_private,
            source=source,
        )

    return endpoint


def _read_docs(operation: _AnyOperation) -> Mapping[int | str, dict[str, Any]]:
    if operation not in READ_OPERATIONS:
        return {}
    has_tag = operation.immutable_at_block and "/block/" in operation.path
    return CONDITIONAL_DOCS if has_tag else READ_DOCS


def _subject_dependency(
    operation: _AnyOperation, scope: Scope, authenticator: Authenticator
) -> _SubjectDependency:
    """Return a dependency that authorizes a request and returns its NATS subject."""

    async def chain_subject() -> OpenSubject:
        return OpenSubject(None, operation.name)

    async def subnet_subject(request: Request, netuid: NetUidField) -> OpenSubject:
        require_canonical_path(request, {"netuid": netuid})
        return OpenSubject(netuid, operation.name)

    async def identity_subject(
        request: Request,
        netuid: NetUidField,
        caller: Annotated[IdentityCaller, Depends(authenticator.require_identity)],
    ) -> AsyncGenerator[IdentitySubject]:
        require_canonical_path(request, {"netuid": netuid})
        caller.require_subnet(netuid)
        try:
            yield IdentitySubject(caller.identity.name, operation.name)
        except FailureError as error:  # FastAPI raises the endpoint's error here
            raise caller.visible_error(error) from None

    if scope is Scope.IDENTITY:
        return identity_subject
    return subnet_subject if operation.per_subnet else chain_subject


def _params_dependency(operation: _AnyOperation) -> Callable[..., Awaitable[Params]]:
    """Return a dependency that reads an operation's parameters from the request.

    Parameters are in the path if it names them, otherwise in the body, or in the query if the
    method has no body. FastAPI itself would read the body before it authenticates the caller.
    """
    in_path = _path_param_names(operation)
    with_body = operation.method in _METHODS_WITH_BODY

    async def read(request: Request, **values: Any) -> Params:
        require_canonical_path(request, {name: values[name] for name in in_path})
        if with_body:
            return await read_params(request, operation.params, values)
        return operation.params(**values)

    of_request = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    # Parameters in the path are always present, so they have no default.
    of_params = [
        parameter.replace(default=inspect.Parameter.empty) if name in in_path else parameter
        for name, parameter in inspect.signature(operation.params).parameters.items()
        if name in in_path or not with_body
    ]
    cast("Any", read).__signature__ = inspect.Signature([of_request, *of_params])
    return read


def _body_docs(operation: _AnyOperation) -> dict[str, Any] | None:
    if operation.method not in _METHODS_WITH_BODY:
        return None
    key = {
        "name": headers.IDEMPOTENCY_KEY,
        "in": "header",
        "required": False,
        "description": "Identifies this write: requests with the same key are executed once.",
        "schema": {"type": "string", "pattern": f"^{headers.IDEMPOTENCY_KEY_PATTERN}$"},
    }
    return {**body_schema(operation.params, _path_param_names(operation)), "parameters": [key]}


def _path_param_names(operation: _AnyOperation) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(operation.path) if name)


def _nats_headers(request: Request, subject: OpenSubject | IdentitySubject) -> dict[str, str]:
    found = {headers.REQUEST_ID: request_id(request)}
    if isinstance(subject, IdentitySubject):
        # The subject of an open-access request contains the netuid.
        found[headers.NETUID] = request.path_params["netuid"]
    trace_parent = request.headers.get(headers.TRACE_PARENT, "")
    if _TRACE_PARENT.fullmatch(trace_parent):
        found[headers.TRACE_PARENT] = trace_parent
    key = request.headers.get(headers.IDEMPOTENCY_KEY)
    if key is not None and request.method in _METHODS_WITH_BODY:
        if not headers.is_idempotency_key(key):
            item = InvalidItem(
                message=f"Should be {headers.IDEMPOTENCY_KEY_RULE}",
                key=headers.IDEMPOTENCY_KEY,
                source="header",
            )
            raise invalid_request(request, [item])
        found[headers.IDEMPOTENCY_KEY] = key
    return found
