"""Writes of the identity: what is sent, and which arguments are refused."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pylon_client._async.identity_writes import AsyncIdentityWrites
from pylon_client.contract import writes
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import Hotkey, JobId, MechanismId, Weight
from pylon_client.transport import OperationCall
from tests.support.product.client_methods import HOTKEY, JOB_ID


class Sent:
    """Records calls instead of sending them."""

    def __init__(self) -> None:
        self.calls: list[OperationCall[BaseModel]] = []

    async def __call__(self, call: OperationCall[Any]) -> Any:
        self.calls.append(call)


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def identity(sent: Sent) -> Any:
    return AsyncIdentityWrites(sent, lambda _job_id: None)  # type: ignore[arg-type, return-value]


async def test_every_write_has_its_own_idempotency_key_or_the_given_one(
    identity: Any, sent: Sent
) -> None:
    for key in (None, None, "given"):
        await identity.put_weights({HOTKEY: Weight(1)}, idempotency_key=key)
        await identity.set_commitment("0x01", idempotency_key=key)
        await identity.set_revealed_commitment("text", idempotency_key=key)
        await identity.generate_certificate(idempotency_key=key)
    keys = [call.idempotency_key for call in sent.calls]
    assert keys[-4:] == ["given"] * 4
    assert len(set(keys)) == 9
    assert {call.scope for call in sent.calls} == {Scope.IDENTITY}


@pytest.mark.parametrize("key", ["", "a\n", "x" * 1000])
async def test_an_invalid_idempotency_key_is_refused(identity: Any, sent: Sent, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        await identity.put_weights({HOTKEY: Weight(1)}, idempotency_key=key)
    assert not sent.calls


async def test_weights_of_the_default_mechanism_use_the_published_operation(
    identity: Any, sent: Sent
) -> None:
    await identity.put_weights({HOTKEY: Weight(1)})
    await identity.put_weights({HOTKEY: Weight(1)}, MechanismId(3))
    first, second = sent.calls
    assert first.operation is writes.PUT_WEIGHTS
    assert second.operation is writes.PUT_MECHANISM_WEIGHTS
    assert second.params.model_dump() == {"weights": {HOTKEY: 1.0}, "mechanism_id": 3}


@pytest.mark.parametrize("commitment", [b"\x01\xff", "0x01ff", "01ff"])
async def test_a_commitment_is_bytes_or_hexadecimal_digits(
    identity: Any, sent: Sent, commitment: bytes | str
) -> None:
    await identity.set_commitment(commitment)
    text = sent.calls[0].params.model_dump()["commitment"]
    assert text.removeprefix("0x") == "01ff"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("put_weights", ({},)),
        ("put_weights", ({Hotkey("x"): -1.0},)),
        ("put_weights", ({HOTKEY: 1.0}, MechanismId(99))),
        ("set_commitment", (b"",)),
        ("set_commitment", (bytes(129),)),
        ("set_commitment", ("0xno",)),
        ("set_revealed_commitment", ("text", 0)),
        ("get_job", (JobId("*"),)),
        ("cancel_job", (JobId(""),)),
    ],
)
async def test_invalid_arguments_are_refused_before_anything_is_sent(
    identity: Any, sent: Sent, method: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(ValidationError):
        await getattr(identity, method)(*arguments)
    assert not sent.calls


async def test_a_page_of_jobs_has_only_the_given_parameters(identity: Any, sent: Sent) -> None:
    await identity.get_jobs()
    await identity.get_jobs(limit=5, before="ended.5", state="open")
    plain, narrowed = (call.params for call in sent.calls)
    assert not plain.model_fields_set
    assert narrowed.model_dump() == {"limit": 5, "before": "ended.5", "state": "open"}
    for wrong in ({"limit": 0}, {"limit": 1001}, {"state": "other"}):
        with pytest.raises(ValidationError):
            await identity.get_jobs(**wrong)


async def test_one_job_is_read_or_cancelled_by_its_id(identity: Any, sent: Sent) -> None:
    await identity.get_job(JOB_ID)
    await identity.cancel_job(JOB_ID)
    assert [call.operation for call in sent.calls] == [writes.GET_JOB, writes.CANCEL_JOB]
    assert [call.params for call in sent.calls] == [writes.JobParams(job_id=JOB_ID)] * 2
    assert all(call.idempotency_key is None for call in sent.calls)
