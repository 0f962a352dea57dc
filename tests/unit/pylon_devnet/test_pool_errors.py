"""Errors of the pool, in the form that clients know."""

import pytest

from pylon_devnet import pool_errors
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.runtime.runtime_metadata import build_metadata
from pylon_devnet.runtime.runtime_names import RUNTIMES
from tests.support.chain.devnet_draft import SUBTENSOR


@pytest.mark.parametrize(
    ("error", "code", "message", "data"),
    [
        (pool_errors.custom_error(6), 1010, "Invalid Transaction", "Custom error: 6"),
        (pool_errors.malformed("short"), 1001, "Extrinsic has invalid format: short", None),
        (pool_errors.already_imported(b"\xab"), 1013, "Transaction Already Imported", "0xab"),
    ],
)
def test_an_error_has_the_code_and_texts_of_a_node(
    error: RpcError, code: int, message: str, data: str | None
) -> None:
    assert (error.code, error.message, error.data) == (code, message, data)


def test_a_replacement_names_both_priorities() -> None:
    assert pool_errors.priority_too_low(3, 5).message == "Priority is too low: (3 vs 5)"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_custom_codes_belong_to_errors_of_the_pallet(runtime: str) -> None:
    pallet = build_metadata(12_000, runtime).declaration.pallet(SUBTENSOR)
    assert pool_errors.CUSTOM_CODES.keys() <= {error.name for error in pallet.errors}
