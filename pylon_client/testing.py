"""For the tests of programs that use the client: a Pylon that says what it is told to say.

    from pylon_client.testing import FakePylon, operations, sample_neurons

    async def test_my_validator() -> None:
        pylon = FakePylon()
        pylon.answer(operations.LATEST_NEURONS, sample_neurons(count=3))
        pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=1)
        async with pylon.async_client() as client:
            await my_validator(client)
        assert pylon.calls[0].netuid == 1

The client around it is the real one: it retries, encodes, decodes and raises as it does over
HTTP and NATS; only its retries do not wait.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from pydantic import BaseModel
from tenacity import wait_none

from pylon_client.asynchronous import AsyncPylonClient
from pylon_client.config import AsyncConfig, Config
from pylon_client.contract import operations, wire
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.models import (
    AxonInfo,
    AxonProtocol,
    Block,
    BlockInfo,
    Neuron,
    Stakes,
    SubnetNeurons,
)
from pylon_client.contract.operations import Operation, Params
from pylon_client.contract.types import (
    AlphaStake,
    BlockHash,
    BlockNumber,
    Coldkey,
    Consensus,
    Dividends,
    Emission,
    Hotkey,
    Incentive,
    NeuronActive,
    NeuronUid,
    Port,
    PruningScore,
    Rank,
    Stake,
    TaoStake,
    Timestamp,
    TotalStake,
    Trust,
    ValidatorPermit,
    ValidatorTrust,
)
from pylon_client.errors import BasePylonException, failure_exception
from pylon_client.retry import ASYNC_DEFAULT_RETRIES, DEFAULT_RETRIES
from pylon_client.synchronous import PylonClient
from pylon_client.transport.base import Call, ReplyT

__all__ = [
    "FakePylon",
    "operations",
    "sample_block",
    "sample_block_info",
    "sample_neuron",
    "sample_neurons",
]

_ADDRESS = "http://pylon.invalid"
_SECONDS_PER_BLOCK = 12
_ALWAYS = -1
_IDENTITY = {"identity_name": "sn1", "identity_token": "token-of-sn1"}


@dataclass(slots=True)
class _Failing:
    """What the next attempts fail with, and how many of them."""

    error: BasePylonException
    left: int


class FakePylon:
    """A Pylon without a service behind it, for one test.

    Attributes:
        calls: every attempt that reached it, retries too, in their order.
    """

    def __init__(self) -> None:
        self.calls: list[Call[BaseModel]] = []
        self._answers: dict[str, Callable[[Call[Any]], BaseModel]] = {}
        self._failures: dict[str, list[_Failing]] = {}

    def answer(
        self,
        operation: Operation[Params, ReplyT],
        reply: ReplyT | Callable[[Call[ReplyT]], ReplyT],
    ) -> None:
        """Reply to an operation, from now on, in every scope.

        Args:
            operation: one of `operations`.
            reply: the reply, or what makes it from the call's scope, netuid and params; what it
                raises, the caller gets.

        Raises:
            TypeError: the reply is not of the operation's model.
        """
        if isinstance(reply, BaseModel):
            constant = _checked(operation, reply)
            self._answers[operation.name] = lambda _: constant
        else:
            self._answers[operation.name] = reply

    def fail(
        self,
        operation: Operation[Params, BaseModel],
        failure: ErrorCode | BasePylonException,
        *,
        times: int | None = 1,
    ) -> None:
        """Fail the next attempts of an operation, after those that are to fail already.

        Args:
            operation: one of `operations`.
            failure: a failure of Pylon's, or any exception of the client's.
            times: how many attempts; None fails every one from then on.
        """
        error = (
            failure_exception(None, code=failure, detail="A test said so.")
            if isinstance(failure, ErrorCode)
            else failure
        )
        left = _ALWAYS if times is None else times
        self._failures.setdefault(operation.name, []).append(_Failing(error, left))

    def async_client(self, **fields: Any) -> AsyncPylonClient:
        """A client of this Pylon, with the identity `sn1` unless told otherwise.

        Args:
            fields: fields of the client's `AsyncConfig`.
        """
        fields = {"retry": ASYNC_DEFAULT_RETRIES.copy(wait=wait_none()), **_IDENTITY, **fields}
        return AsyncPylonClient(AsyncConfig(address=_ADDRESS, **fields), transport=self)

    def client(self, **fields: Any) -> PylonClient:
        """The same, synchronous.

        Args:
            fields: fields of the client's `Config`.
        """
        fields = {"retry": DEFAULT_RETRIES.copy(wait=wait_none()), **_IDENTITY, **fields}
        return PylonClient(Config(address=_ADDRESS, **fields), transport=self)

    async def open(self) -> None:
        """Called by the client."""

    async def close(self) -> None:
        """Called by the client."""

    async def ask(self, call: Call[BaseModel]) -> bytes:
        """Called by the client.

        Raises:
            LookupError: no answer to the operation is given.
        """
        self.calls.append(call)
        name = call.operation.name
        failures = self._failures.get(name, [])
        if failures:
            failing = failures[0]
            failing.left -= 1
            if failing.left == 0:
                failures.pop(0)
            raise failing.error
        if name not in self._answers:
            raise LookupError(f"this FakePylon was given no answer to {name}")
        return wire.encode(_checked(call.operation, self._answers[name](call)))


def _checked(operation: Operation[Params, BaseModel], reply: BaseModel) -> BaseModel:
    if not isinstance(reply, operation.reply):
        raise TypeError(
            f"{operation.name} replies {operation.reply.__name__}, not {type(reply).__name__}"
        )
    return reply


def sample_block(number: int = 100) -> Block:
    """A block whose hash is made of its number."""
    return Block(number=BlockNumber(number), hash=BlockHash(f"0x{number:064x}"))


def sample_block_info(number: int = 100) -> BlockInfo:
    """The same, made twelve seconds after the block before it."""
    timestamp = Timestamp(1_700_000_000 + number * _SECONDS_PER_BLOCK)
    return BlockInfo(**sample_block(number).model_dump(), timestamp=timestamp)


def sample_neuron(uid: int = 0, **fields: Any) -> Neuron:
    """A neuron that serves and has some stake.

    Args:
        uid: its uid, from which its keys and its address are made.
        fields: fields of `Neuron` that are to be otherwise.
    """
    neuron = Neuron(
        uid=NeuronUid(uid),
        coldkey=Coldkey(f"coldkey-{uid}"),
        hotkey=Hotkey(f"hotkey-{uid}"),
        active=NeuronActive(True),
        axon_info=AxonInfo(
            ip=IPv4Address("192.0.2.0") + uid % 256, port=Port(8091), protocol=AxonProtocol.HTTP
        ),
        stake=Stake(1000.0),
        rank=Rank(0.5),
        emission=Emission(1.0),
        incentive=Incentive(0.5),
        consensus=Consensus(0.5),
        trust=Trust(0.5),
        validator_trust=ValidatorTrust(0.0),
        dividends=Dividends(0.0),
        last_update=Timestamp(90),
        validator_permit=ValidatorPermit(False),
        pruning_score=PruningScore(uid),
        stakes=Stakes(alpha=AlphaStake(900.0), tao=TaoStake(500.0), total=TotalStake(990.0)),
    )
    return neuron.model_copy(update=fields)


def sample_neurons(count: int = 3, block_number: int = 100) -> SubnetNeurons:
    """A subnet's neurons, with uids from 0, at a block."""
    neurons = (sample_neuron(uid) for uid in range(count))
    return SubnetNeurons(
        block=sample_block(block_number), neurons={neuron.hotkey: neuron for neuron in neurons}
    )
