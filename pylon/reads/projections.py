"""What a reply shows of an answer: one hotkey, one subnet, one form of it.

Each takes an answer as plain JSON values, and raises FailureError where what was asked for is not
in it.
"""

from typing import Any, Final

from pylon.reads.read_query import Asked
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import CommitmentKind
from pylon_client.contract.reads import ExtrinsicAt

Json = dict[str, Any]

_COMMITMENT: Final = "Commitment not found."
_CERTIFICATE: Final = "Certificate not found."


def validators(answer: Json, _asked: Asked) -> Json:
    """The neurons that hold a validator permit, by total stake, the largest first."""
    permitted = [neuron for neuron in answer["neurons"].values() if neuron["validator_permit"]]
    permitted.sort(key=lambda neuron: (-neuron["stakes"]["total"], neuron["uid"]))
    return {**_collection(answer), "validators": permitted}


def hex_commitments(answer: Json, _asked: Asked) -> Json:
    """The commitments that are data; sealed ones are left to the typed form."""
    found: Json = answer["commitments"]
    data = {
        hotkey: commitment["commitment"]
        for hotkey, commitment in found.items()
        if commitment["kind"] == CommitmentKind.HEX_DATA
    }
    return {**_collection(answer), "commitments": data}


def hex_commitment(answer: Json, asked: Asked) -> Json:
    """One hotkey's commitment, which must be data."""
    commitment = _one_of(answer, "commitments", asked.hotkey, _COMMITMENT)
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
        "hotkey": asked.hotkey,
        "commitment": commitment["commitment"],
        "commitment_block_number": commitment["commitment_block_number"],
    }


def typed_commitment(answer: Json, asked: Asked) -> Json:
    """One hotkey's commitment in the form it stands on the chain."""
    commitment = _one_of(answer, "commitments", asked.hotkey, _COMMITMENT)
    return {"block": answer["block"], "commitment": commitment}


def revealed_commitments(answer: Json, asked: Asked) -> Json:
    """One hotkey's commitments that the chain has opened."""
    found = _one_of(answer, "commitments", asked.hotkey, _COMMITMENT)
    return {"block": answer["block"], "skipped": [], "commitments": found}


def certificates(answer: Json, _asked: Asked) -> Json:
    """The certificates alone: this reply has no room for a block or for what was skipped.

    What was is in the log, and told to whoever asks for it alone.
    """
    return answer["certificates"]


def certificate(answer: Json, asked: Asked) -> Json:
    """One hotkey's certificate."""
    return _one_of(answer, "certificates", asked.hotkey, _CERTIFICATE)


def price(answer: Json, asked: Asked) -> Json:
    """The price of one subnet's alpha."""
    found = answer["prices"].get(str(asked.netuid))
    if found is None:
        raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {asked.netuid} not found.")
    return {"block": answer["block"], "netuid": asked.netuid, "price": found}


def extrinsic(answer: Json, asked: Asked) -> Json:
    """One extrinsic of the block."""
    params = asked.params
    if not isinstance(params, ExtrinsicAt):
        raise TypeError(f"{asked.operation} takes ExtrinsicAt, not {type(params).__name__}")
    place = f"Extrinsic {params.extrinsic_index} of block {params.block_number}"
    if params.extrinsic_index >= len(answer["extrinsics"]):
        raise FailureError(ErrorCode.NOT_FOUND, f"{place} not found.")
    found = answer["extrinsics"][params.extrinsic_index]
    if found is None:
        raise FailureError(
            ErrorCode.UNDECODABLE, f"{place} does not decode with the runtime of its block."
        )
    return found


def _collection(answer: Json) -> Json:
    return {"block": answer["block"], "skipped": answer["skipped"]}


def _one_of(answer: Json, items: str, hotkey: str, missing: str) -> Any:
    found = answer[items].get(hotkey)
    if found is not None:
        return found
    for skipped in answer["skipped"]:
        if skipped["item"] == hotkey:
            raise FailureError(
                ErrorCode.UNDECODABLE, f"The chain has one, but {skipped['reason']}."
            )
    raise FailureError(ErrorCode.NOT_FOUND, missing)
