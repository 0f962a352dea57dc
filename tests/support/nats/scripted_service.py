"""A scripted service over HTTP and over NATS, for tests of the client."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from nats.aio.msg import Msg
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pylon_client.contract import headers, json_codec
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.operation import Operation, Params, Scope
from pylon_client.contract.reads import IDENTITIES, NEURON_CHANGES
from pylon_client.contract.subjects import (
    ALL_IDENTITIES,
    ALL_OPEN,
    IdentitySubject,
    OpenSubject,
    parse_subject,
)
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.product.client_methods import METHODS, REPLIES
from tests.support.product.deployment import WORKER_PASSWORD
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.secret_texts import secret_of

OPEN_TOKEN = secret_of("open")
IDENTITY = "sn1"
IDENTITY_TOKEN = secret_of("sn1")
AUTHORIZATION = f"""
authorization {{
  users: [
    {{ user: "worker", password: "{WORKER_PASSWORD}" }}
    {{ user: "open", password: "{OPEN_TOKEN}", permissions: {{
        publish: {{ allow: ["pylon.v1.open.>"] }}, subscribe: {{ allow: ["_INBOX.open.>"] }} }} }}
    {{ user: "{IDENTITY}", password: "{IDENTITY_TOKEN}", permissions: {{
        publish: {{ allow: ["pylon.v1.open.>", "pylon.v1.identity.{IDENTITY}.>"] }}
        subscribe: {{ allow: ["_INBOX.{IDENTITY}.>"] }} }} }}
  ]
}}
"""


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the service received."""

    operation: str
    scope: Scope
    netuid: int | None
    identity: str | None
    params: dict[str, Any]
    timeout_s: float
    idempotency_key: str | None = None


OPERATIONS = {method.operation.name: method.operation for _, method in METHODS}
"""Every operation that a client can request, whether or not a worker serves it."""


def sample_reply(request_received: ReceivedRequest) -> BaseModel:
    """Return a valid reply of an operation."""
    return REPLIES[OPERATIONS[request_received.operation].reply]


@dataclass
class ScriptedService:
    """A service that replies with the result of `answer`, after it has raised each of `failures`.

    Attributes:
        netuid: subnet of the identity; clients detect a change as with the real service.
        silent: do not reply to any request.
    """

    answer: Callable[[ReceivedRequest], BaseModel] = sample_reply
    netuid: int = 1
    failures: list[FailureError] = field(default_factory=list[FailureError])
    requests: list[ReceivedRequest] = field(default_factory=list[ReceivedRequest])
    identity_reads: int = 0
    silent: bool = False

    async def reply(self, request_received: ReceivedRequest) -> bytes:
        self.requests.append(request_received)
        if self.silent:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)
        return json_codec.encode(self.answer(request_received))

    @asynccontextmanager
    async def over_http(self) -> AsyncGenerator[str]:
        """Serve HTTP within the block; yield the URL."""
        routes = [Route("/api/v1/identities", self._identities)]
        # Fixed paths come before paths with parameters that would match them.
        rows = [row for row in OPERATIONS.values() if row is not IDENTITIES]
        for operation in sorted(rows, key=lambda row: row.path.count("{")):
            routes.extend(self._route(operation, scope) for scope in operation.scopes)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = uvicorn.Server(
                uvicorn.Config(
                    Starlette(routes=routes),
                    lifespan="off",
                    ws="none",
                    log_config=None,
                    timeout_graceful_shutdown=0,
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            async with asyncio.timeout(HANGS_AFTER_S):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = True
            await serving

    @asynccontextmanager
    async def over_nats(self, folder: Path) -> AsyncGenerator[str]:
        """Run a NATS server and the service within the block; yield the URL of the server."""
        async with NatsServer(folder, AUTHORIZATION) as server, self.worker(server.url):
            yield server.url

    @asynccontextmanager
    async def worker(self, url: str) -> AsyncGenerator[None]:
        """Serve requests of a running NATS server within the block."""
        options = ConnectionOptions((url,), user="worker", password=WORKER_PASSWORD)
        connection = await connect(options)
        working: set[asyncio.Task[None]] = set()

        async def on_request(message: Msg) -> None:
            task = asyncio.create_task(self._serve(message))
            working.add(task)
            task.add_done_callback(working.discard)

        try:
            for subject in (ALL_OPEN, ALL_IDENTITIES):
                await connection.nats.subscribe(subject, cb=on_request)
            await connection.nats.flush()
            yield
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await connection.close()

    async def _serve(self, message: Msg) -> None:
        sent = message.headers or {}
        timeout_s = headers.seconds_left(sent[headers.DEADLINE])
        params = json_codec.decode(message.data)
        key = sent.get(headers.IDEMPOTENCY_KEY)
        match parse_subject(message.subject):
            case OpenSubject(netuid, operation):
                request_received = ReceivedRequest(
                    operation, Scope.OPEN, netuid, None, params, timeout_s, key
                )
            case IdentitySubject(name, operation):
                request_received = ReceivedRequest(
                    operation, Scope.IDENTITY, self.netuid, name, params, timeout_s, key
                )
            case other:
                raise AssertionError(other)
        assert operation in OPERATIONS
        try:
            await message.respond(await self.reply(request_received))
        except FailureError as error:
            message_headers = {
                headers.ERROR: error.failure.name,
                headers.SERVICE_ERROR_CODE: str(error.failure.http_status),
            }
            await message._client.publish(
                message.reply, json_codec.encode(error.failure.body()), headers=message_headers
            )

    def _route(self, operation: Operation[Params, BaseModel], scope: Scope) -> Route:
        path = operation.rest_path(scope)
        for name, field_info in operation.params.model_fields.items():
            annotation = field_info.annotation
            if getattr(annotation, "__supertype__", annotation) is int:
                path = path.replace(f"{{{name}}}", f"{{{name}:int}}")

        async def handle(request: Request) -> Response:
            try:
                request_received = self._parse_request(operation, scope, request)
                body = await request.body()
                request_received.params.update(json_codec.decode(body) if body else {})
                return Response(await self.reply(request_received), media_type="application/json")
            except FailureError as error:
                return _problem(error.failure)

        return Route(path.replace("{netuid}", "{netuid:int}"), handle, methods=[operation.method])

    def _parse_request(
        self, operation: Operation[Params, BaseModel], scope: Scope, request: Request
    ) -> ReceivedRequest:
        values: dict[str, Any] = dict(request.path_params)
        if operation is NEURON_CHANGES:
            values["since"] = int(request.query_params["since"])
        netuid, identity = values.pop("netuid", None), values.pop("identity_name", None)
        tokens = {IDENTITY_TOKEN, OPEN_TOKEN} if scope is Scope.OPEN else {IDENTITY_TOKEN}
        authorization = request.headers.get("authorization")
        if authorization is None:
            raise FailureError(ErrorCode.UNAUTHENTICATED, "No credentials.")
        if authorization.removeprefix("Bearer ") not in tokens:
            raise FailureError(ErrorCode.FORBIDDEN, "Wrong credentials.")
        if identity is not None and netuid != self.netuid:
            raise FailureError(ErrorCode.NETUID_MISMATCH, "Another netuid.")
        timeout_s = float(request.headers[headers.HTTP_TIMEOUT])
        key = request.headers.get(headers.IDEMPOTENCY_KEY)
        return ReceivedRequest(operation.name, scope, netuid, identity, values, timeout_s, key)

    async def _identities(self, request: Request) -> Response:
        if "authorization" in request.headers:
            request_received = self._parse_request(IDENTITIES, Scope.OPEN, request)
            return Response(await self.reply(request_received), media_type="application/json")
        self.identity_reads += 1
        return JSONResponse({"identities": {IDENTITY: self.netuid}})


def _problem(failure: Failure) -> Response:
    body = {"status_code": failure.http_status, **failure.body()}
    return JSONResponse(body, status_code=failure.http_status)
