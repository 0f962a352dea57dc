"""Calls over HTTP: method and URL come from the operation, the token from the scope."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from string import Formatter
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from pylon_client.config import BaseConfig
from pylon_client.contract import headers
from pylon_client.contract.failures import InvalidItem
from pylon_client.contract.operations import API_PREFIX, Scope
from pylon_client.contract.types import BlockNumber, IdentityName, NetUid
from pylon_client.errors import (
    BasePylonException,
    PylonClosed,
    PylonMisconfigured,
    PylonNetuidMismatch,
    PylonRequestException,
    PylonResponseException,
    PylonTimeoutException,
    TimeoutReason,
    failure_exception,
)
from pylon_client.transport.base import Call
from pylon_client.transport.shared import Shared

IDENTITIES_PATH: Final = f"{API_PREFIX}/identities"
_BODILESS_METHODS: Final = frozenset({"GET", "DELETE"})


class _Identities(BaseModel):
    identities: dict[IdentityName, NetUid]


class _Problem(BaseModel):
    """The body of an unsuccessful answer, as far as one is there: a proxy may have written it."""

    detail: str | None = None
    code: str | None = None
    retryable: bool | None = None
    retry_at_block: BlockNumber | None = None
    extra: list[InvalidItem] = Field(default_factory=list[InvalidItem])


class HttpTransport:
    """Calls over one pool of HTTP connections.

    Identity URLs hold the netuid, which only the service knows: it is asked for once, and again
    when the service says that it has changed.

    Args:
        config: the address, the tokens and the timeouts.
        carrier: what carries the requests instead of the network, in tests.
    """

    def __init__(
        self, config: BaseConfig, *, carrier: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._config = config
        self._carrier = carrier
        self._http: httpx.AsyncClient | None = None
        self._netuid = Shared(self._ask_identity_netuid)

    async def open(self) -> None:
        """Make ready; connections are made when they are first needed."""
        timeout = self._config.timeout
        self._http = httpx.AsyncClient(
            base_url=self._config.urls[0],
            headers={headers.HTTP_TIMEOUT: str(timeout.read), "Accept": "application/json"},
            timeout=httpx.Timeout(
                connect=timeout.connect,
                read=timeout.read,
                write=timeout.write,
                pool=timeout.pool,
            ),
            transport=self._carrier,
        )

    async def close(self) -> None:
        """Close every connection of the pool."""
        http, self._http = self._http, None
        await self._netuid.stop()
        if http is not None:
            await http.aclose()

    async def ask(self, call: Call[BaseModel]) -> bytes:
        """The body of the successful answer to one attempt of a call.

        Raises:
            BasePylonException: there is none.
        """
        if call.scope is Scope.OPEN:
            return await self._send(call, call.netuid)
        netuid = await self._netuid.get()
        try:
            return await self._send(call, netuid)
        except PylonNetuidMismatch:
            # Another call may have learned the new one already: then it is not asked for again.
            self._netuid.forget(netuid)
            return await self._send(call, await self._netuid.get())

    async def _ask_identity_netuid(self) -> NetUid:
        body = await self._exchange("GET", IDENTITIES_PATH)
        try:
            netuids = _Identities.model_validate_json(body).identities
        except ValidationError as error:
            raise PylonResponseException("Pylon's list of identities cannot be read") from error
        name = self._config.identity
        if name is None or name not in netuids:
            raise PylonMisconfigured(f"Pylon has no identity {name!r}")
        return netuids[name]

    async def _send(self, call: Call[BaseModel], netuid: NetUid | None) -> bytes:
        operation = call.operation
        values: dict[str, Any] = call.params.model_dump(mode="json")
        template = operation.rest_path(call.scope)
        in_path = {field for _, field, _, _ in Formatter().parse(template) if field}
        places = {**values, "netuid": netuid, "identity_name": self._config.identity_name}
        path = template.format(**{key: quote(str(places[key]), safe="") for key in in_path})
        rest = {key: value for key, value in values.items() if key not in in_path}
        content = (
            {"params": rest or None} if operation.method in _BODILESS_METHODS else {"json": rest}
        )
        sent_headers = self._authorization(call.scope)
        if call.idempotency_key is not None:
            sent_headers[headers.IDEMPOTENCY_KEY] = call.idempotency_key
        return await self._exchange(operation.method, path, headers=sent_headers, **content)

    def _authorization(self, scope: Scope) -> dict[str, str]:
        config = self._config
        token = config.open_access_token if scope is Scope.OPEN else config.identity_token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def _exchange(self, method: str, path: str, **content: Any) -> bytes:
        if self._http is None:
            raise PylonClosed("the client is closed")
        async with self._failures_named():
            response = await self._http.request(method, path, **content)
        if response.is_success:
            return response.content
        raise _failure(response)

    @asynccontextmanager
    async def _failures_named(self) -> AsyncGenerator[None]:
        timeout = self._config.timeout
        try:
            # httpx limits the wait for each piece of an answer; this limits the whole of it.
            async with asyncio.timeout(timeout.total_s):
                yield
        except httpx.ConnectTimeout as error:
            raise PylonTimeoutException(TimeoutReason.CONNECT, timeout.connect) from error
        except httpx.WriteTimeout as error:
            raise PylonTimeoutException(TimeoutReason.WRITE, timeout.write) from error
        except httpx.PoolTimeout as error:
            raise PylonTimeoutException(TimeoutReason.POOL, timeout.pool) from error
        except (httpx.ReadTimeout, TimeoutError) as error:
            raise PylonTimeoutException(TimeoutReason.READ, timeout.read) from error
        except httpx.HTTPError as error:
            raise PylonRequestException(f"Pylon cannot be reached: {error}") from error


def _failure(response: httpx.Response) -> BasePylonException:
    try:
        problem = _Problem.model_validate_json(response.content)
    except ValidationError:
        problem = _Problem()
    return failure_exception(
        response.status_code,
        code=problem.code,
        detail=problem.detail,
        retryable=problem.retryable,
        retry_at_block=problem.retry_at_block,
        invalid=problem.extra,
    )
