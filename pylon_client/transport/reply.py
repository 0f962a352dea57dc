"""What comes back to a request over NATS."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, Failure, FailureError


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request: the body as it came, and its headers."""

    body: bytes
    headers: Mapping[str, str]


def success(reply: Reply) -> Reply:
    """The reply itself, unless it is a failure.

    Raises:
        FailureError: what the reply says.
    """
    if wire_headers.ERROR not in reply.headers:
        return reply
    try:
        failure = Failure.model_validate_json(reply.body)
    except ValidationError:
        detail = reply.headers.get(wire_headers.SERVICE_ERROR) or "The worker's failure is unknown."
        raise FailureError(ErrorCode.INTERNAL, detail) from None
    raise FailureError(
        failure.code,
        failure.detail,
        retry_at_block=failure.retry_at_block,
        extra=failure.extra,
    )
