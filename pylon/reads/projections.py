"""Projections from the result of a query to a reply, such as the item of one hotkey.

Each takes a result as JSON values and returns the reply's JSON values. It raises FailureError if
the result does not contain the item.
"""

from typing import Any, Final

from pylon.common.validator_projection import project_validators
from pylon.reads.read_query import ReadQuery
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import CommitmentKind
from pylon_client.contract.operations import Params
from pylon_client.contract.reads import ExtrinsicParams

Json = dict[str, Any]
AnyRead = ReadQuery[Params]

_COMMITMENT_NOT_FOUND: Final = "Commitment not found."
_CERTIFICATE_NOT_FOUND: Final = "Certificate not found."


def validators(result: Json, _read: AnyRead) -> Json:
    """Return the neurons with a validator permit, in descending order of total stake."""
    return project_validators(result)


def hex_commitments(result: Json, _read: AnyRead) -> Json:
    """Return the commitments of plain data, as hexadecimal text; timelocked ones are left out."""
    found: Json = result["commitments"]
    data = {
        hotkey: commitment["commitment"]
        for hotkey, commitment in found.items()
        if commitment["kind"] == CommitmentKind.HEX_DATA
    }
    return {**_collection_fields(result), "commitments": data}


def hex_commitment(result: Json, read: AnyRead) -> Json:
    """Return one hotkey's commitment of plain data, as hexadecimal text."""
    commitment = _item_of(result, "commitments", read.hotkey, _COMMITMENT_NOT_FOUND)
    if commitment["kind"] != CommitmentKind.HEX_DATA:
        reveal_round = commitment["reveal_round"]
        why = (
            f"the chain could not open its timelocked data at drand's round {reveal_round}"
            if commitment["reveal_failed"]
            else f"the hotkey's data is timelocked until drand's round {reveal_round}"
        )
        raise FailureError(ErrorCode.NOT_FOUND, f"Commitment not found: {why}.")
    return {
        "block": result["block"],
        "hotkey": read.hotkey,
        "commitment": commitment["commitment"],
        "commitment_block_number": commitment["commitment_block_number"],
    }


def typed_commitment(result: Json, read: AnyRead) -> Json:
    """Return one hotkey's commitment in the chain's form."""
    commitment = _item_of(result, "commitments", read.hotkey, _COMMITMENT_NOT_FOUND)
    return {"block": result["block"], "commitment": commitment}


def revealed_commitments(result: Json, read: AnyRead) -> Json:
    """Return one hotkey's commitments that the chain has opened."""
    found = _item_of(result, "commitments", read.hotkey, _COMMITMENT_NOT_FOUND)
    return {"block": result["block"], "skipped": [], "commitments": found}


def certificates(result: Json, _read: AnyRead) -> Json:
    """Return the certificates by hotkey; this reply has neither a block nor skipped items.

    Skipped items are logged, and a request for the hotkey's own certificate reports them.
    """
    return result["certificates"]


def certificate(result: Json, read: AnyRead) -> Json:
    """Return one hotkey's certificate."""
    return _item_of(result, "certificates", read.hotkey, _CERTIFICATE_NOT_FOUND)


def price(result: Json, read: AnyRead) -> Json:
    """Return the price of one subnet's alpha."""
    found = result["prices"].get(str(read.netuid))
    if found is None:
        raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {read.netuid} not found.")
    return {"block": result["block"], "netuid": read.netuid, "price": found}


def extrinsic(result: Json, read: ReadQuery[ExtrinsicParams]) -> Json:
    """Return one extrinsic of the block."""
    params = read.params
    name = f"Extrinsic {params.extrinsic_index} of block {params.block_number}"
    if params.extrinsic_index >= len(result["extrinsics"]):
        raise FailureError(ErrorCode.NOT_FOUND, f"{name} not found.")
    found = result["extrinsics"][params.extrinsic_index]
    if found is None:
        raise FailureError(
            ErrorCode.UNDECODABLE, f"{name} does not decode with the runtime of its block."
        )
    return found


def _collection_fields(result: Json) -> Json:
    return {"block": result["block"], "skipped": result["skipped"]}


def _item_of(result: Json, items: str, hotkey: str, missing: str) -> Any:
    found = result[items].get(hotkey)
    if found is not None:
        return found
    for skipped in result["skipped"]:
        if skipped["item"] == hotkey:
            raise FailureError(
                ErrorCode.UNDECODABLE, f"The chain has one, but {skipped['reason']}."
            )
    raise FailureError(ErrorCode.NOT_FOUND, missing)
