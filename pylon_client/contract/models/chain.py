"""Extrinsics, drand rounds, and the identities of the service."""

from typing import Any

from pydantic import ConfigDict

from pylon_client.contract.models.base import BittensorModel
from pylon_client.contract.types import BlockNumber, IdentityName, NetUid


class ExtrinsicCallArg(BittensorModel):
    """One argument of a call, decoded."""

    model_config = ConfigDict(extra="allow")

    name: str
    type: str
    value: Any


class ExtrinsicCall(BittensorModel):
    """The call of an extrinsic."""

    model_config = ConfigDict(extra="allow")

    call_module: str
    call_function: str
    call_args: list[ExtrinsicCallArg]


class Extrinsic(BittensorModel):
    """One decoded extrinsic of a block; `address` is None if it is unsigned."""

    model_config = ConfigDict(extra="allow")

    block_number: BlockNumber
    extrinsic_index: int
    extrinsic_hash: str
    extrinsic_length: int
    address: str | None = None
    call: ExtrinsicCall


class DrandRound(BittensorModel):
    """The last drand round that the chain has stored."""

    last_stored_round: int


class Identities(BittensorModel):
    """The configured identities of the service, and their subnets."""

    identities: dict[IdentityName, NetUid]
