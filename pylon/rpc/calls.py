"""Calls, which are parsed requests, and the handlers that execute them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from pylon.common.admission import Permit
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.operations import Operation, Params, Scope
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.log_limit import LogLimit, error_origin

logger = logging.getLogger(__name__)

ParamsT = TypeVar("ParamsT", bound=Params)
ParamsT_co = TypeVar("ParamsT_co", bound=Params, covariant=True)


@dataclass(frozen=True, slots=True)
class ServiceCall(Generic[ParamsT_co]):
    """One validated request.

    Attributes:
        operation: name of the operation.
        scope: the authority of the caller.
        netuid: the identity's subnet, or the subnet that a caller with open access named; None if
            the operation concerns the chain.
        identity: the calling identity; None for open access.
        params: the operation's parameters.
        timeout_s: seconds until the caller's deadline.
        request_id: the caller's id of the request, or a random one.
        idempotency_key: the caller's key of a write; None if the caller sent none.
        permit: the permit that the request holds while it is executed; None if concurrency
            is not limited.
    """

    operation: str
    scope: Scope
    netuid: NetUid | None
    identity: IdentityName | None
    params: ParamsT_co
    timeout_s: float
    request_id: str
    idempotency_key: str | None = None
    permit: Permit | None = field(default=None, compare=False, repr=False)

    @property
    def subnet(self) -> NetUid:
        """Return the subnet of a call of an operation per subnet.

        Raises:
            TypeError: the operation concerns the chain.
        """
        if self.netuid is None:
            raise TypeError(f"{self.operation} has no subnet")
        return self.netuid

    @property
    def caller_identity(self) -> IdentityName:
        """Return the identity of a call of an operation for identities.

        Raises:
            TypeError: the call has open access.
        """
        if self.identity is None:
            raise TypeError(f"{self.operation} needs an identity")
        return self.identity

    def without_permit(self, *, required: bool = True) -> AbstractContextManager[None]:
        """Release the admission slot within the block, which waits for something slow.

        See `Permit.released_while_waiting`.

        Raises:
            FailureError: OVERLOADED, when too many of the caller's requests are waiting.
        """
        return (
            nullcontext()
            if self.permit is None
            else self.permit.released_while_waiting(required=required)
        )


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call.

    Attributes:
        body: the JSON of the reply.
        block: the block at which all of it was read. The reply's headers contain it, so that a
            client can recognise a result that it has cached for the same query and block.
        headers: further headers of the reply.
    """

    body: bytes
    block: Block | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Handler = Callable[[ServiceCall[ParamsT]], Awaitable[CallResult | bytes]]
"""Executes a call. It returns the bare body if the result has no block, and raises FailureError."""
MemoryHandler = Callable[[ServiceCall[ParamsT]], CallResult | None]
"""Returns the result of a call that is in memory; None if the call has to be executed."""


class HandlerTable:
    """Handlers by the name of their operation, and the execution of calls by them.

    Attributes:
        handlers: the handlers by name.
        memory_handlers: the handlers of results in memory by name.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Handler[Any]] = {}
        self.memory_handlers: dict[str, MemoryHandler[Any]] = {}
        self._log_limit = LogLimit()

    def add(self, operation: Operation[ParamsT, BaseModel], handler: Handler[ParamsT]) -> None:
        """Register the handler of an operation, which receives the operation's parameters."""
        self.handlers[operation.name] = handler

    def add_memory(
        self, operation: Operation[ParamsT, BaseModel], handler: MemoryHandler[ParamsT]
    ) -> None:
        """Register the handler that replaces an operation's other one if the result is in memory.

        It must not raise.
        """
        self.memory_handlers[operation.name] = handler

    def find_in_memory(self, call: ServiceCall[Params]) -> CallResult | None:
        """Return the result of a call if it is in memory; otherwise the call has to be executed."""
        handler = self.memory_handlers.get(call.operation)
        return None if handler is None else handler(call)

    async def execute(self, call: ServiceCall[Params]) -> CallResult:
        """Return the result of a call; its handler is cancelled at the caller's deadline.

        Raises:
            FailureError: the handler's own; otherwise NOT_FOUND without a handler,
                DEADLINE_EXCEEDED at the deadline, and INTERNAL for any other error, which is
                logged with the id of the request.
        """
        stored = self.find_in_memory(call)
        if stored is not None:
            return stored
        handler = self.handlers.get(call.operation)
        if handler is None:
            raise FailureError(
                ErrorCode.NOT_FOUND, f"This worker does not serve {call.operation!r}."
            )
        scope = asyncio.timeout(call.timeout_s)
        try:
            async with scope:
                found = await handler(call)
        except FailureError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and scope.expired():
                raise FailureError(
                    ErrorCode.DEADLINE_EXCEEDED, "The request did not finish before its deadline."
                ) from None
            # The log has the details; the caller receives only the request's id.
            # Each request has its line; a traceback that repeats is logged once.
            is_due = self._log_limit.is_due(call.operation, error_origin(error))
            logger.error(  # noqa: TRY400 -- with the traceback if it is due
                *("%s failed; request %s: %s", call.operation, call.request_id),
                type(error).__name__,
                exc_info=error if is_due else None,
            )
            raise FailureError(
                ErrorCode.INTERNAL,
                f"The worker failed; its log has the reason at request {call.request_id}.",
            ) from None
        return found if isinstance(found, CallResult) else CallResult(found)
