"""The contract over NATS as an AsyncAPI document, built from the table of operations.

It describes the service, which receives requests, replies to them, and sends events.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, Failure
from pylon_client.contract.jobs import Job
from pylon_client.contract.models import BlockInfo, SubnetNeurons
from pylon_client.contract.operations import NATS_OPERATIONS, Operation, Params, Scope
from pylon_client.contract.subjects import (
    CONTRACT_VERSION,
    BlockEventSubject,
    IdentitySubject,
    JobEventSubject,
    NeuronsEventSubject,
    OpenSubject,
    Subject,
)
from pylon_client.contract.topology import QUEUE_GROUP
from pylon_client.contract.types import IdentityName, JobId, NetUid

ASYNCAPI_VERSION: Final = "3.0.0"

_NETUID: Final = NetUid(0)
_IDENTITY: Final = IdentityName("NAME")
_JOB: Final = JobId("a" * 26)
_PLACEHOLDERS: Final[Mapping[str, str]] = {
    str(_NETUID): "netuid",
    _IDENTITY: "identity_name",
    _JOB: "job_id",
}
_PARAMETERS: Final[Mapping[str, Any]] = {
    "netuid": {"description": "A subnet's number, 0 to 65535."},
    "identity_name": {"description": "A configured identity; only its NATS user may publish here."},
    "job_id": {"description": "The id of a job, from the reply to a write."},
}
_EVENTS: Final[Mapping[str, tuple[Subject, type[BaseModel], str]]] = {
    "event.block": (BlockEventSubject(), BlockInfo, "Every new block"),
    "event.neurons": (
        NeuronsEventSubject(_NETUID),
        SubnetNeurons,
        "All neurons of a tracked subnet, at every block",
    ),
    "event.job": (JobEventSubject(_IDENTITY, _JOB), Job, "Every change of a job"),
}

_Operation = Operation[Params, BaseModel]
_Document = dict[str, Any]


class _Schemas(GenerateJsonSchema):
    """JSON schemas for AsyncAPI, whose discriminator is a name instead of a mapping."""

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> _Document:
        """Return the schema without a discriminator; each alternative has a constant field."""
        union = super().tagged_union_schema(schema)
        union.pop("discriminator", None)
        return union


def asyncapi_document() -> _Document:
    """Return the document as plain values."""
    channels = [(row, scope) for row in NATS_OPERATIONS for scope in Scope if scope in row.scopes]
    schemas, definitions = _schemas()
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": _INFO,
        "defaultContentType": "application/json",
        "servers": {"nats": _SERVER},
        "channels": {
            **{_channel_name(row, scope): _request_channel(row, scope) for row, scope in channels},
            **{f"reply.{row.name}": _reply_channel(row) for row in NATS_OPERATIONS},
            **{name: _event_channel(name, subject) for name, (subject, _, _) in _EVENTS.items()},
        },
        "operations": {
            **{
                _channel_name(row, scope): _receive_operation(row, scope) for row, scope in channels
            },
            **{name: _send_operation(name, summary) for name, (_, _, summary) in _EVENTS.items()},
        },
        "components": {
            "messages": {
                **{
                    f"request.{row.name}": _request_message(schemas[row.params])
                    for row in NATS_OPERATIONS
                },
                **{
                    f"reply.{row.name}": _value_message(schemas[row.reply])
                    for row in NATS_OPERATIONS
                },
                **{name: _value_message(schemas[model]) for name, (_, model, _) in _EVENTS.items()},
                "failure": {
                    "summary": "The failure of a request",
                    "headers": _headers(_FAILURE_HEADERS, required=(headers.ERROR,)),
                    "payload": schemas[Failure],
                },
            },
            "schemas": definitions,
            "securitySchemes": {"user": _USER},
        },
    }


_INFO: Final = {
    "title": "Pylon",
    "version": CONTRACT_VERSION,
    "description": (
        "Reads of and writes to the Bittensor chain, over NATS. Workers reply only to inboxes of "
        "the user who sent the request. The subject contains the identity: only the NATS user of "
        "that name may publish on it."
    ),
    "license": {"name": "Apache-2.0"},
}
_SERVER: Final = {
    "host": "127.0.0.1:4222",
    "protocol": "nats",
    "description": "The NATS of this deployment.",
    "security": [{"$ref": "#/components/securitySchemes/user"}],
}
_USER: Final = {
    "type": "userPassword",
    "description": (
        "An identity's name and its token; or `open` and the open-access token, both of which may "
        "be omitted if the service has no such token."
    ),
}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "string", "pattern": "^[0-9]+$"}
_REQUEST_HEADERS: Final = {
    headers.CONTRACT: {**_TEXT, "description": "The contract's major version; optional."},
    headers.TIMEOUT: {
        **_NUMBER,
        "description": "Timeout of the sender, in milliseconds after sending.",
    },
    headers.DEADLINE: {
        **_NUMBER,
        "description": (
            "Deadline of the sender, in milliseconds since the Unix epoch. Workers read it from "
            f"requests without {headers.TIMEOUT}; it depends on both clocks."
        ),
    },
    headers.REQUEST_ID: {**_TEXT, "description": "The caller's id of this request, for logs."},
    headers.TRACE_PARENT: {**_TEXT, "description": "The W3C trace context of this request."},
    headers.ACCEPT_PARTS: {
        **_TEXT,
        "description": "Any value: the sender can join a reply too large for one message.",
    },
    headers.IDEMPOTENCY_KEY: {
        **_TEXT,
        "pattern": f"^{headers.IDEMPOTENCY_KEY_PATTERN}$",
        "description": "Of a write: writes with the same key are one job.",
    },
    headers.NETUID: {
        **_NUMBER,
        "description": (
            "Of an identity's request: the expected subnet of the identity; a request with another "
            "subnet fails."
        ),
    },
}
_VALUE_HEADERS: Final = {
    headers.CONTRACT: {**_TEXT, "const": CONTRACT_VERSION},
    headers.BLOCK_NUMBER: {**_NUMBER, "description": "The block of the data."},
    headers.BLOCK_HASH: {**_TEXT, "description": "The hash of that block."},
    headers.GENESIS: {
        **_TEXT,
        "description": "Of an event: the hash of the chain's first block.",
    },
    headers.PARENT_HASH: {
        **_TEXT,
        "description": "Of a block's event: the hash of the block's parent.",
    },
    headers.HEAD: {
        **_TEXT,
        "pattern": "^[0-9]+ [0-9]+$",
        "description": (
            "Of a block's event: the number of the newest head that the publisher knows, and the "
            "milliseconds for which it counts as the newest one."
        ),
    },
    headers.LOST_BLOCKS: {
        **_NUMBER,
        "description": "Of a stored event: the number of blocks before it that are not stored.",
    },
    headers.PART: {
        **_TEXT,
        "pattern": "^[0-9]+/[0-9]+$",
        "description": (
            "The number of this part and the number of parts of a reply too large for one message. "
            "Parts arrive in order, and the last one has all other headers."
        ),
    },
    headers.STORED_PARTS: {
        **_TEXT,
        "description": (
            "Of an event whose body is too large for one message: read it with the operation "
            "`events.block` or `events.neurons`."
        ),
    },
}
_FAILURE_HEADERS: Final = {
    headers.CONTRACT: {**_TEXT, "const": CONTRACT_VERSION},
    headers.ERROR: {**_TEXT, "enum": [code.value for code in ErrorCode]},
    headers.SERVICE_ERROR_CODE: {**_NUMBER, "description": "The HTTP status of the failure."},
    headers.SERVICE_ERROR: {**_TEXT, "description": "The detail of the failure, shortened."},
}


def _headers(properties: Mapping[str, Any], *, required: tuple[str, ...] = ()) -> _Document:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(properties), **needed}


def _request_message(payload: _Document) -> _Document:
    return {"headers": _headers(_REQUEST_HEADERS), "payload": payload}


def _value_message(payload: _Document) -> _Document:
    return {"headers": _headers(_VALUE_HEADERS), "payload": payload}


def _schemas() -> tuple[Mapping[Any, _Document], _Document]:
    """Return the references of the models, and the schemas to which they refer."""
    replies = {row.reply for row in NATS_OPERATIONS} | {model for _, model, _ in _EVENTS.values()}
    wanted: set[tuple[type[BaseModel], JsonSchemaMode]] = {
        *((row.params, "validation") for row in NATS_OPERATIONS),
        *((model, "serialization") for model in (*replies, Failure)),
    }
    found, definitions = models_json_schema(
        sorted(wanted, key=lambda item: item[0].__name__),
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    return {model: reference for (model, _), reference in found.items()}, dict(
        sorted(definitions["$defs"].items())
    )


def _channel_name(row: _Operation, scope: Scope) -> str:
    return f"{scope}.{row.name}"


def _request_channel(row: _Operation, scope: Scope) -> _Document:
    subject: Subject
    if scope is Scope.IDENTITY:
        subject = IdentitySubject(_IDENTITY, row.name)
    else:
        subject = OpenSubject(_NETUID if row.per_subnet else None, row.name)
    message = {"$ref": f"#/components/messages/request.{row.name}"}
    return {**_address(subject), "messages": {"request": message}}


def _reply_channel(row: _Operation) -> _Document:
    return {
        "address": None,
        "description": "The inbox that the request names as its reply subject.",
        "messages": {
            "success": {"$ref": f"#/components/messages/reply.{row.name}"},
            "failure": {"$ref": "#/components/messages/failure"},
        },
    }


def _event_channel(name: str, subject: Subject) -> _Document:
    return {
        **_address(subject),
        "messages": {"event": {"$ref": f"#/components/messages/{name}"}},
    }


def _address(subject: Subject) -> _Document:
    tokens = str(subject).split(".")
    named = [_PLACEHOLDERS[token] for token in tokens if token in _PLACEHOLDERS]
    address = ".".join(
        f"{{{_PLACEHOLDERS[token]}}}" if token in _PLACEHOLDERS else token for token in tokens
    )
    parameters = {name: _PARAMETERS[name] for name in named}
    return {"address": address, **({"parameters": parameters} if parameters else {})}


def _receive_operation(row: _Operation, scope: Scope) -> _Document:
    channel, reply = f"#/channels/{_channel_name(row, scope)}", f"#/channels/reply.{row.name}"
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "summary": row.summary,
        "messages": [{"$ref": f"{channel}/messages/request"}],
        "bindings": {"nats": {"queue": QUEUE_GROUP}},
        "reply": {
            "channel": {"$ref": reply},
            "messages": [{"$ref": f"{reply}/messages/{of}"} for of in ("success", "failure")],
        },
    }


def _send_operation(name: str, summary: str) -> _Document:
    channel = f"#/channels/{name}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "summary": summary,
        "messages": [{"$ref": f"{channel}/messages/event"}],
    }
