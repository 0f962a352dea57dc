"""Translation of HTTP errors into exceptions of the client."""

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
    """The body of an unsuccessful response; a proxy may have written it, so all is optional."""

    detail: str | None = None
    code: str | None = None
    retryable: bool | None = None
    retry_at_block: BlockNumber | None = None
    extra: list[InvalidItem] = Field(default_factory=list[InvalidItem])


@asynccontextmanager
async def translate_http_errors(timeouts: PylonTimeout, address: str) -> AsyncGenerator[None]:
    """Translate HTTP errors within the block, and limit its duration.

    Args:
        timeouts: the timeouts of the client; their sum limits the block.
        address: the address of the service, for the errors.

    Raises:
        PylonRequestException: the request failed without a response.
        PylonTimeoutException: there was no response in time.
    """
    try:
        # httpx limits the wait for each chunk of a response; this limits the whole response.
        async with asyncio.timeout(timeouts.total_s):
            yield
    except (httpx.TimeoutException, TimeoutError) as error:
        timeout_reason = next(
            (why for kind, why in _TIMEOUTS if isinstance(error, kind)), TimeoutReason.READ
        )
        limit_s: float = getattr(timeouts, timeout_reason)
        raise PylonTimeoutException(timeout_reason, limit_s, address=address) from error
    except httpx.HTTPError as error:
        timeout_reason = network_error_reason(error) or str(error) or type(error).__name__
        raise PylonRequestException(
            f"Pylon cannot be reached at {address}: {timeout_reason}"
        ) from error


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
