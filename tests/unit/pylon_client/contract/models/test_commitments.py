"""Typed commitments are distinguished by their kind."""

import json

import pytest
from pydantic import ValidationError

from pylon_client.contract.models import (
    HexDataCommitment,
    HotkeyTypedCommitment,
    TimelockEncryptedCommitment,
)

BLOCK = {"number": 5, "hash": f"0x{5:064x}"}
COMMON = {"commitment_block_number": 4, "hotkey": "5Abc", "commitment": "0x01"}


def parse(**fields: object) -> HotkeyTypedCommitment:
    body = json.dumps({"block": BLOCK, "commitment": COMMON | fields})
    return HotkeyTypedCommitment.model_validate_json(body)


def test_the_kind_decides_the_model() -> None:
    assert isinstance(parse(kind="hex_data").commitment, HexDataCommitment)
    sealed = parse(kind="timelock_encrypted", reveal_round=9).commitment
    assert isinstance(sealed, TimelockEncryptedCommitment)
    assert (sealed.reveal_round, sealed.reveal_failed) == (9, False)


@pytest.mark.parametrize("fields", [{}, {"kind": "another"}, {"kind": "timelock_encrypted"}])
def test_other_forms_are_rejected(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse(**fields)
