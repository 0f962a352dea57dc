"""Signed extrinsics: nonce, era and genesis come from the node, and are checked."""

import pytest

from pylon.chain.bounds import ImplausibleError
from pylon.chain.extrinsic_signing import ERA_PERIOD_BLOCKS, sign_call
from pylon.chain.write_port import CommitmentCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import NetUid
from tests.support.chain.fake_writing_sdk import GENESIS_HASH, FakeWritingSdk, as_sdk
from tests.support.product.fake_signers import FakeSigner

CALL = CommitmentCall(NetUid(1), b"data")
SIGNER = FakeSigner(1)


async def test_an_extrinsic_has_the_next_nonce_and_an_era_from_the_finalized_head() -> None:
    sdk = FakeWritingSdk(best=110, finalized=107, nonce=5)
    signed = await sign_call(as_sdk(sdk), CALL, SIGNER)
    assert sdk.signed == [({"period": ERA_PERIOD_BLOCKS, "current": 107}, 5)]
    record = signed.record
    assert (record.hash, record.nonce) == ("0xab", 5)
    assert (record.era_birth, record.era_period) == (107, ERA_PERIOD_BLOCKS)
    assert signed.data == b"payload" + SIGNER.sign(b"payload")
    assert (signed.signed_at_block, signed.genesis) == (110, GENESIS_HASH)
    assert signed.reveal_round is None
    assert sdk.submitted == []


async def test_an_extrinsic_whose_era_would_have_ended_is_not_returned() -> None:
    allowed = FakeWritingSdk(best=100 + ERA_PERIOD_BLOCKS - 2, finalized=100)
    assert (await sign_call(as_sdk(allowed), CALL, SIGNER)).signed_at_block == allowed.best
    late = FakeWritingSdk(best=100 + ERA_PERIOD_BLOCKS - 1, finalized=100)
    with pytest.raises(FailureError, match="Finality is 15 blocks behind") as caught:
        await sign_call(as_sdk(late), CALL, SIGNER)
    assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE


@pytest.mark.parametrize("nonce", [-1, 2**32, "5", None])
async def test_an_implausible_nonce_is_not_signed(nonce: object) -> None:
    sdk = FakeWritingSdk(nonce=nonce)
    with pytest.raises(ImplausibleError, match="nonce"):
        await sign_call(as_sdk(sdk), CALL, SIGNER)
    assert sdk.signed == []


async def test_a_call_that_the_runtime_lacks_is_named() -> None:
    sdk = FakeWritingSdk(compose_error=ValueError("Call Commitments.set_commitment not found"))
    with pytest.raises(FailureError, match=r"Commitments\.set_commitment") as caught:
        await sign_call(as_sdk(sdk), CALL, SIGNER)
    assert caught.value.code is ErrorCode.RUNTIME_UNSUPPORTED
