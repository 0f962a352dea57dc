"""What a reply shows of an answer: one hotkey, one subnet, one form of it.

Each takes an answer as plain JSON values, and raises FailureError where what was asked for is not
in it.
"""

from typing import Any, Final

from pylon.reads.read_query import ReadQuery
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import CommitmentKind
from pylon_client.contract.reads import ExtrinsicParams

Json = dict[str, Any]

_COMMITMENT_NOT_FOUND: Final = "Commitment not found."
_CERTIFICATE_NOT_FOUND: Final = "Certificate not found."


def validators(answer: Json, _read: ReadQuery) -> Json:
    """The neurons that hold a validator permit, by total stake, the largest first."""
    permitted = [neuron for neuron in answer["neurons"].values() if neuron["validator_permit"]]
    permitted.sort(key=lambda neuron: (-neuron["stakes"]["total"], neuron["uid"]))
    return {**_collection_fields(answer), "validators": permitted}


def hex_commitments(answer: Json, _read: ReadQuery) -> Json:
    """The commitments that are data; sealed ones are left to the typed form."""
    found: Json = answer["commitments"]
    data = {
        hotkey: commitment["commitment"]
        for hotkey, commitment in found.items()
        if commitment["kind"] == CommitmentKind.HEX_DATA
    }
    return {**_collection_fields(answer), "commitments": data}


def hex_commitment(answer: Json, read: ReadQuery) -> Json:
    """One hotkey's commitment, which must be data."""
    commitment = _item_of(answer, "commitments", read.hotkey, _COMMITMENT_NOT_FOUND)
    if commitment["kind"] != CommitmentKind.HEX_DATA:
        reveal_round = commitment["reveal_round"]
        why = (
            f"the chain could not open its sealed data at drand's round {reveal_round}"
            if commitment["reveal_failed"]
            else f"what there is, is sealed until drand's round {reveal_round}"
        )
        raise FailureError(ErrorCode.NOT_FOUND, f"Commitment not found: {why}.")
    return {
        "block": answer["block"],
        "hotkey": read.hotkey,
        "commitment": commitment["commitment"],
        "commitment_block_number": commitment["commitment_block_number"],
    }


def typed_commitment(answer: Json, read: ReadQuery) -> Json:
    """One hotkey's commitment in the form it stands on the chain."""
    commitment = _item_of(answer, "commitments", read.hotkey, _COMMITMENT_NOT_FOUND)
    return {"block": answer["block"], "commitment": commitment}


def revealed_commitments(answer: Json, read: ReadQuery) -> Json:
    """One hotkey's commitments that the chain has opened."""
    found = _item_of(answer, "commitments", read.hotkey, _COMMITMENT_NOT_FOUND)
    return {"block": answer["block"], "skipped": [], "commitments": found}


def certificates(answer: Json, _read: ReadQuery) -> Json:
    """The certificates alone: this reply has no room for a block or for what was skipped.

    What was is in the log, and told to whoever asks for it alone.
    """
    return answer["certificates"]


def certificate(answer: Json, read: ReadQuery) -> Json:
    """One hotkey's certificate."""
    return _item_of(answer, "certificates", read.hotkey, _CERTIFICATE_NOT_FOUND)


def price(answer: Json, read: ReadQuery) -> Json:
    """The price of one subnet's alpha."""
    found = answer["prices"].get(str(read.netuid))
    if found is None:
        raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {read.netuid} not found.")
    return {"block": answer["block"], "netuid": read.netuid, "price": found}


def extrinsic(answer: Json, read: ReadQuery) -> Json:
    """One extrinsic of the block."""
    params = read.params
    if not isinstance(params, ExtrinsicParams):
        raise TypeError(f"{read.operation} takes ExtrinsicParams, not {type(params).__name__}")
    place = f"Extrinsic {params.extrinsic_index} of block {params.block_number}"
    if params.extrinsic_index >= len(answer["extrinsics"]):
        raise FailureError(ErrorCode.NOT_FOUND, f"{place} not found.")
    found = answer["extrinsics"][params.extrinsic_index]
    if found is None:
        raise FailureError(
            ErrorCode.UNDECODABLE, f"{place} does not decode with the runtime of its block."
        )
    return found


def _collection_fields(answer: Json) -> Json:
    return {"block": answer["block"], "skipped": answer["skipped"]}


def _item_of(answer: Json, items: str, hotkey: str, missing: str) -> Any:
    found = answer[items].get(hotkey)
    if found is not None:
        return found
    for skipped in answer["skipped"]:
        if skipped["item"] == hotkey:
            raise FailureError(
                ErrorCode.UNDECODABLE, f"The chain has one, but {skipped['reason']}."
            )
    raise FailureError(ErrorCode.NOT_FOUND, missing)
