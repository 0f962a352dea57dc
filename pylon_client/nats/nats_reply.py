"""Replies to requests over NATS."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, Failure, FailureError, UnknownCodeFailure

_OBJECT: Final = TypeAdapter(dict[str, Any])
_DEFAULT_STATUS: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its body as received, and its headers."""

    body: bytes
    headers: Mapping[str, str]


def raise_for_failure(reply: Reply) -> Reply:
    """Return the reply if it is successful.

    Raises:
        FailureError: the failure in the reply.
    """
    if wire_headers.ERROR not in reply.headers:
        return reply
    raise FailureError.from_failure(_failure(reply))


def _failure(reply: Reply) -> Failure:
    with suppress(ValidationError):
        return Failure.model_validate_json(reply.body)
    with suppress(ValidationError):
        body = _OBJECT.validate_json(reply.body)
        unknown = {
            "newer_code": body.get("code"),
            "newer_status": reply.headers.get(wire_headers.SERVICE_ERROR_CODE, _DEFAULT_STATUS),
        }
        return UnknownCodeFailure.model_validate({**body, "code": ErrorCode.INTERNAL, **unknown})
    detail = reply.headers.get(wire_headers.SERVICE_ERROR) or "The worker's failure is unknown."
    return FailureError(ErrorCode.INTERNAL, detail).failure
