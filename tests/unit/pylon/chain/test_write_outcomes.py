"""The inclusion of an extrinsic, and the effect of a write on the state."""

from typing import Any

import pytest
from bittensor.result import ChainError

from pylon.chain.write_outcomes import find_in_block, shows_write
from pylon.chain.write_port import Inclusion, RefusalKind
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord
from pylon_client.contract.types import BlockNumber, Hotkey, JobKind, MechanismId, NetUid
from tests.support.chain.fake_writing_sdk import FakeExtrinsicResult, FakeWritingSdk, as_sdk

BLOCK = BlockNumber(100)
RECORD = ExtrinsicRecord(hash="0xab", nonce=5, era_birth=BlockNumber(95), era_period=16)
HOTKEY = Hotkey("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")


async def found_in(result: FakeExtrinsicResult | None) -> Inclusion | None:
    included = {} if result is None else {int(BLOCK): result}
    return await find_in_block(as_sdk(FakeWritingSdk(included=included)), RECORD, BLOCK)


async def test_an_included_extrinsic_has_its_block_and_no_refusal_if_it_succeeded() -> None:
    assert await found_in(FakeExtrinsicResult(success=True)) == Inclusion(BLOCK)
    assert await found_in(None) is None


async def test_an_included_extrinsic_that_failed_has_its_refusal() -> None:
    error = ChainError("too fast", "SettingWeightsTooFast")
    inclusion = await found_in(FakeExtrinsicResult(success=False, error=error))
    assert inclusion is not None
    assert inclusion.block == BLOCK
    assert inclusion.refusal is not None
    assert inclusion.refusal.kind is RefusalKind.RATE_LIMITED


async def test_a_block_that_the_node_does_not_have_yet_proves_nothing() -> None:
    sdk = as_sdk(FakeWritingSdk(best=99, finalized=98))
    for read in (find_in_block(sdk, RECORD, BLOCK), shown(sdk, JobKind.COMMITMENT)):
        with pytest.raises(FailureError, match="does not have block 100 yet") as caught:
            await read
        assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE


async def shown(sdk: Any, kind: JobKind, mechanism: MechanismId | None = None) -> bool:
    return await shows_write(sdk, kind, NetUid(1), mechanism, HOTKEY, BLOCK)


@pytest.mark.parametrize("kind", [JobKind.COMMITMENT, JobKind.REVEALED_COMMITMENT])
@pytest.mark.parametrize(
    ("stored", "is_shown"), [({"block": 100}, True), ({"block": 99}, False), (None, False)]
)
async def test_a_commitment_is_shown_by_its_block(
    kind: JobKind, stored: Any, *, is_shown: bool
) -> None:
    sdk = FakeWritingSdk(storage={"CommitmentOf": stored})
    assert await shown(as_sdk(sdk), kind) is is_shown


@pytest.mark.parametrize(
    ("axon", "is_shown"), [({"block": 100}, True), ({"block": 99}, False), (None, False)]
)
async def test_a_certificate_is_shown_by_the_block_of_the_axon(
    axon: Any, *, is_shown: bool
) -> None:
    sdk = FakeWritingSdk(storage={"Axons": axon})
    assert await shown(as_sdk(sdk), JobKind.CERTIFICATE) is is_shown


@pytest.mark.parametrize(
    ("mechanism", "uid", "is_shown"),
    [(None, 1, True), (0, 1, True), (1, 1, False), (1, 0, True), (0, None, False), (0, 9, False)],
)
async def test_weights_are_shown_by_the_last_update_of_the_uid_in_the_mechanism(
    mechanism: int | None, uid: int | None, *, is_shown: bool
) -> None:
    last_updates = {1: [7, 100], 4097: [100, 7]}
    sdk = FakeWritingSdk(
        storage={"Uids": uid, "LastUpdate": lambda keys, _number: last_updates[keys[0]]}
    )
    chosen = None if mechanism is None else MechanismId(mechanism)
    assert await shown(as_sdk(sdk), JobKind.WEIGHTS, chosen) is is_shown


async def test_the_state_is_read_at_the_block() -> None:
    read_at: list[int] = []

    def stored(_keys: list[Any], number: int) -> dict[str, int]:
        read_at.append(number)
        return {"block": number}

    assert await shown(as_sdk(FakeWritingSdk(storage={"CommitmentOf": stored})), JobKind.COMMITMENT)
    assert read_at == [BLOCK]
