"""What the service asks of the chain in order to write to it, in Pylon's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord
from pylon_client.contract.types import (
    BlockNumber,
    Hotkey,
    JobKind,
    MechanismId,
    NetUid,
    NeuronUid,
)


class Step(Enum):
    """What to do after the chain has refused a write."""

    AGAIN = "again"
    """Sign it anew, on a fresh connection: nonce, era or the pool stood in the way."""
    WAIT = "wait"
    """The same write will be taken later: a limit on how often, or how much, one may write."""
    NEVER = "never"
    """It will not be taken as it is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the chain did not take a write, and what to do about it."""

    code: ErrorCode
    step: Step
    detail: str

    def failure(self, retry_at_block: BlockNumber | None = None) -> Failure:
        """The refusal as a caller sees it."""
        return FailureError(self.code, self.detail, retry_at_block=retry_at_block).failure


class RefusedError(Exception):
    """The node said that it did not take an extrinsic, which is therefore nowhere."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.detail}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Heads:
    """How far the chain is: its newest block, and its newest that can not be retracted."""

    best: BlockNumber
    final: BlockNumber


@dataclass(frozen=True, slots=True)
class Epoch:
    """Where a subnet is in its epochs, at one block.

    Attributes:
        block: at which this was read.
        tempo: blocks from one epoch to the next; 0 where the subnet has none.
        last_block: the block that began the current epoch.
        next_block: the block that will begin the next one, sooner if its owner triggers it; None
            where the tempo is 0.
    """

    block: BlockNumber
    tempo: int
    last_block: BlockNumber
    next_block: BlockNumber | None


@dataclass(frozen=True, slots=True)
class WeightsFacts:
    """What setting weights depends on, all read at one block.

    Attributes:
        block: at which it was read.
        epoch: of the subnet.
        own_uid: of the hotkey that sets them; None when it is not registered.
        uids: of those of the weighed hotkeys that are registered.
        commit_reveal_version: of the protocol under which weights are sealed; None where the
            subnet takes them in the open.
        reveal_period_epochs: how many epochs after their own sealed weights are revealed.
        rate_limit_blocks: how many blocks must lie between two settings.
        last_update_block: when this hotkey last set weights; 0 for never.
        version_key: that the subnet asks weights to carry.
    """

    block: BlockNumber
    epoch: Epoch
    own_uid: NeuronUid | None
    uids: Mapping[Hotkey, NeuronUid]
    commit_reveal_version: int | None
    reveal_period_epochs: int
    rate_limit_blocks: int
    last_update_block: BlockNumber
    version_key: int


@dataclass(frozen=True, slots=True)
class WeightsCall:
    """Set weights, in the open or sealed, as the subnet asks at that block."""

    netuid: NetUid
    mechanism: MechanismId
    weights: Mapping[NeuronUid, float]
    version_key: int


@dataclass(frozen=True, slots=True)
class CommitmentCall:
    """Publish bytes."""

    netuid: NetUid
    data: bytes


@dataclass(frozen=True, slots=True)
class SealedCommitmentCall:
    """Publish a text that opens by itself after some blocks."""

    netuid: NetUid
    text: str
    blocks_until_reveal: int


@dataclass(frozen=True, slots=True)
class CertificateCall:
    """Publish the public half of a key pair, beside the axon that is announced."""

    netuid: NetUid
    algorithm: int
    public_key: bytes


WriteCall = WeightsCall | CommitmentCall | SealedCommitmentCall | CertificateCall


@dataclass(frozen=True, slots=True)
class Signed:
    """An extrinsic that is signed and not sent.

    Attributes:
        record: what to write down before sending it.
        data: its bytes.
        block: the newest block when it was signed; it can only be included in a later one.
        reveal_round: the drand round at which sealed content opens.
    """

    record: ExtrinsicRecord
    data: bytes
    block: BlockNumber
    reveal_round: int | None = None


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A block that holds an extrinsic, and what became of it there.

    Attributes:
        block: its number.
        refusal: why the call failed; None when it succeeded.
    """

    block: BlockNumber
    refusal: Refusal | None = None


class Signer(Protocol):
    """A hotkey that can sign; a key pair of the SDK is one."""

    @property
    def ss58_address(self) -> str:
        """The hotkey's address."""
        ...

    @property
    def public_key(self) -> bytes:
        """The hotkey's public key."""
        ...

    @property
    def crypto_type(self) -> int:
        """Which kind of signature it makes, in the SDK's numbering."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature of some bytes."""
        ...


class ChainWrites(Protocol):
    """Writing to the chain, and looking at what was written.

    Every method answers or fails within a deadline of its own. Unless it says otherwise a method
    raises `FailureError` and nothing else: CHAIN_UNAVAILABLE when no node answers, CHAIN_TIMEOUT
    past the deadline.
    """

    async def heads(self) -> Heads:
        """The newest block and the newest final block."""
        ...

    async def block_time_s(self) -> float:
        """How long a block takes on this chain, in seconds."""
        ...

    async def weights_facts(
        self, netuid: NetUid, mechanism: MechanismId, own: Hotkey, weighed: Sequence[Hotkey]
    ) -> WeightsFacts:
        """What setting weights depends on, at the newest block.

        Raises:
            RefusedError: there is no such subnet.
        """
        ...

    async def epoch(self, netuid: NetUid) -> Epoch:
        """Where a subnet is in its epochs, at the newest block."""
        ...

    async def sign(self, call: WriteCall, signer: Signer) -> Signed:
        """The call as a signed extrinsic, with the account's next nonce; nothing is sent.

        Raises:
            RefusedError: the SDK sees before signing that the chain would not take it.
        """
        ...

    async def submit(self, signed: Signed) -> None:
        """Send an extrinsic; on return the node has taken it into its pool.

        Raises:
            RefusedError: the node did not take it.
            FailureError: it may or may not have taken it.
        """
        ...

    async def find(
        self, record: ExtrinsicRecord, first: BlockNumber, last: BlockNumber
    ) -> Inclusion | None:
        """Where an extrinsic is among the blocks from `first` to `last`, both included."""
        ...

    async def stands(
        self,
        kind: JobKind,
        netuid: NetUid,
        mechanism: MechanismId | None,
        own: Hotkey,
        block: BlockNumber,
    ) -> bool:
        """Whether the state after a block shows that this hotkey wrote such a thing in it."""
        ...
