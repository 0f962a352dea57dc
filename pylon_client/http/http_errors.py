"""What goes wrong over HTTP, as exceptions of the client."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import httpx
from pydantic import BaseModel, Field, ValidationError

from pylon_client.config import PylonTimeout
from pylon_client.contract.failures import InvalidItem
from pylon_client.contract.types import BlockNumber
from pylon_client.errors import (
    BasePylonException,
    PylonRequestException,
    PylonTimeoutException,
    TimeoutReason,
    failure_exception,
)
from pylon_client.network_errors import network_error_reason

_TIMEOUTS: Final = (
    (httpx.ConnectTimeout, TimeoutReason.CONNECT),
    (httpx.WriteTimeout, TimeoutReason.WRITE),
    (httpx.PoolTimeout, TimeoutReason.POOL),
)


class _Problem(BaseModel):
    """The body of an unsuccessful answer, as far as one is there: a proxy may have written it."""

    detail: str | None = None
    code: str | None = None
    retryable: bool | None = None
    retry_at_block: BlockNumber | None = None
    extra: list[InvalidItem] = Field(default_factory=list[InvalidItem])


@asynccontextmanager
async def translate_http_errors(timeout: PylonTimeout, address: str) -> AsyncGenerator[None]:
    """Translate what goes wrong within the block, and limit its time.

    Raises:
        PylonRequestException: there is no answer, or PylonTimeoutException: none in time.
    """
    try:
        # httpx limits the wait for each piece of an answer; this limits the whole of it.
        async with asyncio.timeout(timeout.total_s):
            yield
    except (httpx.TimeoutException, TimeoutError) as error:
        reason = next(
            (why for kind, why in _TIMEOUTS if isinstance(error, kind)), TimeoutReason.READ
        )
        limit_s: float = getattr(timeout, reason)
        raise PylonTimeoutException(reason, limit_s, address=address) from error
    except httpx.HTTPError as error:
        reason = network_error_reason(error) or str(error) or type(error).__name__
        raise PylonRequestException(f"Pylon cannot be reached at {address}: {reason}") from error


def exception_from_response(response: httpx.Response) -> BasePylonException:
    """Return the exception for an unsuccessful response."""
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
