"""Fields of commitments as bytes."""

from typing import Any

import pytest

from pylon_devnet.commitment_fields import (
    RESET_BONDS_FLAG,
    TIMELOCK_ENCRYPTED,
    TIMELOCK_REVEAL_FAILED,
    read_fields,
    write_fields,
)
from tests.support.chain.devnet_draft import decoded_call

SEALED = {"TimelockEncrypted": {"encrypted": b"\x00\xff", "reveal_round": 258}}


def encoded(*fields: Any) -> bytes:
    info = {"fields": fields}
    return decoded_call("Commitments", "set_commitment", netuid=1, info=info).raw["info"]


@pytest.mark.parametrize(
    ("field", "kind", "data"),
    [
        ("None", 0, b""),
        ({"Raw0": b""}, 1, b""),
        ({"Raw1": b"a"}, 2, b"a"),
        ({"Raw128": b"a" * 128}, 129, b"a" * 128),
        ({"BlakeTwo256": b"h" * 32}, 130, b"h" * 32),
        ({"ShaThree256": b"h" * 32}, 133, b"h" * 32),
        (SEALED, TIMELOCK_ENCRYPTED, b"\x00\xff"),
        ("ResetBondsFlag", RESET_BONDS_FLAG, b""),
        ({"BigRaw": b"a" * 300}, 136, b"a" * 300),
    ],
)
def test_each_kind_has_its_data(field: Any, kind: int, data: bytes) -> None:
    info = encoded(field, {"Raw2": b"zz"})
    first, second = read_fields(info)
    assert (first.kind, first.data) == (kind, data)
    assert second.data == b"zz", "the end of the first field was found"
    assert write_fields([first, second]) == info


def test_only_timelocked_fields_have_a_round() -> None:
    sealed, plain = read_fields(encoded(SEALED, {"Raw1": b"a"}))
    assert (sealed.reveal_round, plain.reveal_round) == (258, 0)


def test_a_failed_field_keeps_its_data_and_round() -> None:
    (sealed,) = read_fields(encoded(SEALED))
    failed = sealed.failed()
    expected = {"TimelockRevealFailed": {"encrypted": b"\x00\xff", "reveal_round": 258}}
    assert [failed] == read_fields(encoded(expected))
    assert failed.kind == TIMELOCK_REVEAL_FAILED


def test_an_empty_commitment_has_no_fields() -> None:
    assert read_fields(encoded()) == []
    assert write_fields([]) == b"\x00"
