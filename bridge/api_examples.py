"""Examples of requests and errors in the API's documentation.

The Swagger page fills its forms with the request examples, which are valid on the devnet.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pylon.common.deployment_settings import IdentitySettings
from pylon_client.contract.failures import ErrorCode, FailureError, InvalidItem
from pylon_client.contract.operation import Params
from pylon_client.contract.types import BlockNumber, IdentityName
from pylon_client.contract.writes import (
    GenerateCertificate,
    PutMechanismWeights,
    PutWeights,
    SetCommitment,
    SetRevealedCommitment,
)

_HOTKEY: Final = "5GCJF2aouGhKu6qqboMmSsQwE7d6hTGAb2wUm14YAJTWWHWq"
"""A miner of the devnet's subnet 1, with a commitment and a certificate."""
_JOB_ID: Final = "a" * 26
_REQUIRED_PARAMS: Final[Mapping[str, object]] = {
    "identity_name": "sn1",
    "netuid": 1,
    "hotkey": _HOTKEY,
    "block_number": 3,
    "since": 3,
    "extrinsic_index": 0,
    "mechanism_id": 0,
    "job_id": _JOB_ID,
}
BODY_EXAMPLES: Final[Mapping[type[Params], Mapping[str, object]]] = {
    PutWeights: {"weights": {_HOTKEY: 1.0}},
    PutMechanismWeights: {"weights": {_HOTKEY: 1.0}},
    SetCommitment: {"commitment": "0x68656c6c6f"},
    SetRevealedCommitment: {"commitment": "hello", "blocks_until_reveal": 360},
    GenerateCertificate: {"algorithm": 1},
}

_DETAILS: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID: "Validation failed for GET /api/v1/subnet/65536/block/latest/neurons",
    ErrorCode.UNAUTHENTICATED: "Send 'Authorization: Bearer <token>' with this request.",
    ErrorCode.FORBIDDEN: "This token is not the identity's.",
    ErrorCode.NOT_FOUND: "Block 4000000000 not found.",
    ErrorCode.METHOD_NOT_ALLOWED: "Method Not Allowed",
    ErrorCode.NETUID_MISMATCH: "Identity 'sn1' is of subnet 1, not of 2.",
    ErrorCode.RATE_LIMITED: "The subnet takes weights of this hotkey again at block 4100.",
    ErrorCode.OVERLOADED: (
        "Open access has too many requests waiting: try again later, or another server."
    ),
    ErrorCode.CHAIN_REJECTED: "The chain rejected the extrinsic: Invalid Transaction.",
    ErrorCode.CHAIN_UNAVAILABLE: "The node of the network finney cannot be reached.",
    ErrorCode.NATS_UNAVAILABLE: "No worker is running.",
    ErrorCode.SHUTTING_DOWN: "The worker is shutting down.",
    ErrorCode.CHAIN_TIMEOUT: "The node did not answer in time.",
    ErrorCode.DEADLINE_EXCEEDED: "There was no reply within the timeout.",
    ErrorCode.ARCHIVE_REQUIRED: "The state of block 3 was discarded: configure an archive node.",
    ErrorCode.UNDECODABLE: "The commitment cannot be decoded.",
    ErrorCode.NO_RECENT_SNAPSHOT: "The last snapshot of subnet 1 is too old.",
    ErrorCode.MISCONFIGURED: "Nothing can sign for the identity 'sn1'.",
    ErrorCode.NOT_REGISTERED: "The hotkey is not registered on subnet 1.",
    ErrorCode.NO_VALIDATOR_PERMIT: "The hotkey has no validator permit on subnet 1.",
    ErrorCode.STAKE_TOO_LOW: "The hotkey has less stake than the subnet requires.",
    ErrorCode.CONFLICT: "The idempotency key was used for another request.",
    ErrorCode.EXPIRED: "The job was not submitted before its deadline.",
    ErrorCode.SUPERSEDED: "A newer write took the place of this one.",
    ErrorCode.CANCELLED: "The job was cancelled.",
    ErrorCode.OUTCOME_UNKNOWN: "Whether the chain has included the extrinsic is not known.",
    ErrorCode.RUNTIME_UNSUPPORTED: "The chain's runtime lacks SubtensorModule.set_weights.",
    ErrorCode.WRONG_CHAIN: "The job is for another chain than the worker's.",
    ErrorCode.INTERNAL: "Internal Server Error",
}


def failure_examples(codes: Iterable[ErrorCode]) -> dict[str, dict[str, str]]:
    """Return references to the examples of failures, for one response of an operation."""
    return {code.value: {"$ref": f"#/components/examples/{code.value}"} for code in codes}


def failure_body(code: ErrorCode, *, detail: str = "", status: int | None = None) -> dict[str, Any]:
    """Return an example of an error response's body.

    Args:
        code: error code.
        detail: detail text; if empty, an example.
        status: HTTP status; None for the status of the code.
    """
    item = InvalidItem(
        message="Input should be less than or equal to 65535", key="netuid", source="path"
    )
    failure = FailureError(
        code,
        detail or _DETAILS[code],
        retry_at_block=BlockNumber(4100) if code is ErrorCode.RATE_LIMITED else None,
        extra=[item] if code is ErrorCode.INVALID and not detail else None,
    ).failure
    return {"status_code": failure.http_status if status is None else status, **failure.body()}


def add_examples(
    document: dict[str, Any], identities: Mapping[IdentityName, IdentitySettings]
) -> None:
    """Add the examples of parameters and failures to an OpenAPI document.

    Args:
        document: the document, which is modified.
        identities: configured identities; the first one is the example.
    """
    values = dict(_REQUIRED_PARAMS)
    for identity in list(identities.values())[:1]:
        values |= {"identity_name": identity.name, "netuid": identity.netuid}
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter.get("required"):
                    parameter["example"] = values[parameter["name"]]
    document["components"]["examples"] = {
        code.value: {"summary": code.value, "value": failure_body(code)} for code in ErrorCode
    }
