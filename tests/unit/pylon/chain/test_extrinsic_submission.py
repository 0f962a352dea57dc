"""A submission is sent once, and only a refusal of the pool is a refusal."""

import pytest
from bittensor._transport.rpc import classify_rpc_error
from bittensor.result import RpcConnectionError

from pylon.chain.extrinsic_submission import SingleSubmission
from pylon.chain.write_port import SignedCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord
from pylon_client.contract.types import BlockNumber
from tests.support.chain.fake_writing_sdk import GENESIS_HASH, FakeWritingSdk, as_sdk

RECORD = ExtrinsicRecord(hash="0xab", nonce=5, era_birth=BlockNumber(107), era_period=16)
SIGNED = SignedCall(RECORD, b"\x01\x02", BlockNumber(110), GENESIS_HASH)


async def test_the_sdk_receives_the_signed_bytes_and_their_hash() -> None:
    sdk = FakeWritingSdk()
    assert await SingleSubmission(SIGNED).send(as_sdk(sdk)) is None
    (sent,) = sdk.submitted
    assert (sent.data, sent.data_hex, sent.extrinsic_hash) == (b"\x01\x02", "0x0102", "0xab")


@pytest.mark.parametrize("error", [None, RpcConnectionError("gone")])
async def test_a_second_send_fails_and_sends_nothing(error: Exception | None) -> None:
    submission = SingleSubmission(SIGNED)
    sdk, next_connection = FakeWritingSdk(submit_error=error), FakeWritingSdk()
    if error is None:
        await submission.send(as_sdk(sdk))
    else:
        with pytest.raises(RpcConnectionError):
            await submission.send(as_sdk(sdk))
    with pytest.raises(FailureError, match="broke while sending") as caught:
        await submission.send(as_sdk(next_connection))
    assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE
    assert next_connection.submitted == []


@pytest.mark.parametrize(
    ("data", "name"),
    [("Transaction has a bad signature", "BadProof"), ("Transaction is outdated", "Stale")],
)
async def test_a_refusal_of_the_pool_is_returned(data: str, name: str) -> None:
    error = classify_rpc_error({"code": 1010, "message": "Invalid Transaction", "data": data})
    refused = await SingleSubmission(SIGNED).send(as_sdk(FakeWritingSdk(submit_error=error)))
    assert refused is not None
    assert refused.name == name


async def test_an_extrinsic_that_is_in_the_pool_already_is_accepted() -> None:
    error = classify_rpc_error({"code": 1013, "message": "Transaction Already Imported"})
    sdk = FakeWritingSdk(submit_error=error)
    assert await SingleSubmission(SIGNED).send(as_sdk(sdk)) is None


async def test_an_error_of_a_gateway_is_not_a_refusal() -> None:
    error = classify_rpc_error({"code": -32603, "message": "upstream timed out"})
    with pytest.raises(type(error)):
        await SingleSubmission(SIGNED).send(as_sdk(FakeWritingSdk(submit_error=error)))
