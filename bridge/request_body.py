"""JSON request bodies: limited in size and time, with one error item per invalid field."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import ConfigDict, ValidationError, create_model
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from bridge.api_examples import BODY_EXAMPLES
from bridge.problems import invalid_docs, invalid_item, invalid_request
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError, InvalidItem, duplicate_key_item
from pylon_client.contract.operations import Params
from pylon_client.contract.topology import MAX_REQUEST_BYTES

BODY_TIMEOUT_S: Final = 30.0
MAX_REPEATED_KEYS: Final = 20
"""Maximum number of repeated keys in an error."""
MAX_CODING_CHARS: Final = 40
"""Maximum length of an unknown content coding in an error, in characters."""
_IDENTITY_CODINGS: Final = frozenset({"", "identity"})
MALFORMED_JSON_PREFIX: Final = "JSON is malformed: "
ParamsT = TypeVar("ParamsT", bound=Params)


def _compressed_body_detail(coding: str) -> str:
    return (
        f"A body with 'Content-Encoding: {coding}' is not accepted: send it uncompressed, without "
        "that header."
    )


def body_schema(
    params: type[Params],
    path_params: frozenset[str],
    example: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Return the OpenAPI documentation of a request body.

    Args:
        params: model of the parameters.
        path_params: names of the parameters in the path.
        example: example body; None for the operation's example.
    """
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in params.model_fields.items()
        if name not in path_params
    }
    config = ConfigDict(extra="forbid", title=params.__name__)
    model = create_model(params.__name__, __config__=config, __doc__=params.__doc__, **fields)
    content = {"schema": model.model_json_schema(), "example": example or BODY_EXAMPLES[params]}
    return {
        "requestBody": {
            "required": any(field.is_required() for field in model.model_fields.values()),
            "content": {"application/json": content},
        }
    }


_BODY_TIMEOUT_DETAIL: Final = f"The body did not arrive within {BODY_TIMEOUT_S:g} s."
_BODY_TOO_LARGE_DETAIL: Final = f"A body has at most {MAX_REQUEST_BYTES} bytes."
BODY_ERROR_RESPONSES: Final[Mapping[int | str, dict[str, Any]]] = {
    **invalid_docs(408, "The body does not arrive in time", _BODY_TIMEOUT_DETAIL),
    **invalid_docs(413, "The body is too large", _BODY_TOO_LARGE_DETAIL),
    **invalid_docs(415, "The body is compressed", _compressed_body_detail("gzip")),
}
"""OpenAPI responses for bodies that are not read completely."""


async def read_params(
    request: Request, params: type[ParamsT], path_values: Mapping[str, Any]
) -> ParamsT:
    """Parse the parameters of an operation from the request's body and path.

    Args:
        request: the request.
        params: model of the parameters.
        path_values: parameters from the path, by name.

    Raises:
        FailureError: INVALID if the body is not JSON or does not match `params`.
        HTTPException: the body is compressed, larger than `MAX_REQUEST_BYTES`, or does not arrive
            in time.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _IDENTITY_CODINGS:
        raise HTTPException(
            415,
            _compressed_body_detail(coding[:MAX_CODING_CHARS]),
            {"Accept-Encoding": "identity"},
        )
    body = await _read_body(request)
    try:
        given: Any = json_codec.decode(body) if body.strip() else {}
        repeated = json_codec.duplicate_keys(body)[:MAX_REPEATED_KEYS] if body.strip() else []
    except (ValueError, RecursionError) as error:
        # The codec's message has this prefix, except for bodies that are nested too deeply.
        why = str(error).removeprefix(MALFORMED_JSON_PREFIX)
        raise FailureError(ErrorCode.INVALID, f"{MALFORMED_JSON_PREFIX}{why}") from None
    if isinstance(given, dict):
        twice = [
            InvalidItem(message="Input belongs in the path alone", key=name, source="body")
            for name in path_values
            if name in given
        ]
        if twice:
            raise invalid_request(request, twice)
        body = json_codec.encode({**path_values, **given})
    if repeated:
        raise invalid_request(request, [duplicate_key_item(key) for key in repeated])
    try:
        return params.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        items = [invalid_item({**item, "loc": ("body", *item["loc"])}) for item in problems]
        raise invalid_request(request, items) from None


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_REQUEST_BYTES:
                    raise HTTPException(413, _BODY_TOO_LARGE_DETAIL)
    except TimeoutError:
        raise HTTPException(408, _BODY_TIMEOUT_DETAIL) from None
    except ClientDisconnect:
        raise HTTPException(400, "The body ended early.") from None
    return bytes(body)
