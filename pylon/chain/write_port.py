"""Interfaces and data for writing to the chain, in terms of Pylon's models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

from pylon.common.signer import Signer
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

NEVER_UPDATED: Final = BlockNumber(0)
"""`LastUpdate` of a neuron that has set no weights."""


class RefusalKind(Enum):
    """How a refused write can be continued."""

    RETRY = auto()
    """Sign it again on a new connection: the nonce, the era or the pool caused the refusal."""
    RATE_LIMITED = auto()
    """Submit the same write later: a rate or size limit of the chain applies."""
    NOT_ELIGIBLE = auto()
    """The hotkey lacks a requirement that may change: registration, validator permit or stake."""
    FATAL = auto()
    """The chain will never accept the write in this form."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the chain refused a write, and how to continue."""

    code: ErrorCode
    kind: RefusalKind
    detail: str

    def failure(self, retry_at_block: BlockNumber | None = None) -> Failure:
        """Return the failure for the caller."""
        return FailureError(self.code, self.detail, retry_at_block=retry_at_block).failure


class RefusedError(Exception):
    """The node reported that it did not accept an extrinsic; so it cannot be in any pool."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.detail}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class ChainTip:
    """The numbers of the best head and of the finalized head."""

    best: BlockNumber
    finalized: BlockNumber


@dataclass(frozen=True, slots=True)
class Epoch:
    """The epoch of a subnet at one block.

    Attributes:
        block: number of the block whose state was read.
        tempo: blocks per epoch; 0 if the subnet has no epochs.
        start_block: first block of the current epoch.
        next_start_block: first block of the next epoch, or an earlier one if the subnet's owner
            triggers it; None if the tempo is 0.
    """

    block: BlockNumber
    tempo: int
    start_block: BlockNumber
    next_start_block: BlockNumber | None


@dataclass(frozen=True, slots=True)
class CommitRevealState:
    """The commit-reveal state of a subnet at one block; names in backticks are storage items.

    Attributes:
        version: version of the commit-reveal protocol.
        block: number of the block whose state was read.
        tempo: `Tempo`, in blocks.
        reveal_period_epochs: `RevealPeriodEpochs`.
        last_epoch_block: `LastEpochBlock`.
        pending_epoch_at: `PendingEpochAt`; 0 if the owner has not triggered an epoch.
        epoch_index: `SubnetEpochIndex`.
        blocks_since_last_step: `BlocksSinceLastStep`.
    """

    version: int
    block: BlockNumber
    tempo: int
    reveal_period_epochs: int
    last_epoch_block: int
    pending_epoch_at: int
    epoch_index: int
    blocks_since_last_step: int


@dataclass(frozen=True, slots=True)
class WeightsState:
    """The chain state that setting weights depends on, read at one block.

    Attributes:
        block: number of the block whose state was read.
        epoch: epoch of the subnet.
        own_uid: uid of the hotkey that sets the weights; None if it is not registered.
        uids: uids of the weighted hotkeys that are registered.
        has_permit: whether the neuron with `own_uid` has a validator permit.
        owns_subnet: whether the hotkey belongs to the subnet's owner, who needs no permit.
        has_null_consensus: whether the subnet uses the Null consensus, which requires a permit of
            the owner as well.
        commit_reveal: state for timelocked weights; None if the subnet uses plain weights.
        unrevealed_commits: number of the hotkey's commits of this epoch that the chain stores.
        rate_limit_blocks: minimum number of blocks between two updates of weights.
        last_update_block: block of the hotkey's last update of weights; 0 for never.
        version_key: version key that the subnet requires.
        min_allowed_weights: minimum number of weights greater than 0.
        max_weight_limit: maximum share of one weight in their sum, in 1/65535.
    """

    block: BlockNumber
    epoch: Epoch
    own_uid: NeuronUid | None
    uids: Mapping[Hotkey, NeuronUid]
    has_permit: bool = True
    owns_subnet: bool = False
    has_null_consensus: bool = False
    commit_reveal: CommitRevealState | None = None
    unrevealed_commits: int = 0
    rate_limit_blocks: int = 0
    last_update_block: BlockNumber = NEVER_UPDATED
    version_key: int = 0
    min_allowed_weights: int = 0
    max_weight_limit: int = 65_535


@dataclass(frozen=True, slots=True)
class WeightsCall:
    """Set weights, plain or timelocked.

    Attributes:
        netuid: the subnet.
        mechanism: the mechanism of the subnet.
        weights: weight by uid, in 1/65535 of the largest weight.
        version_key: version key that the subnet requires.
        commit_reveal: state for timelocked weights; None for plain weights.
    """

    netuid: NetUid
    mechanism: MechanismId
    weights: Mapping[NeuronUid, int]
    version_key: int
    commit_reveal: CommitRevealState | None = None


@dataclass(frozen=True, slots=True)
class CommitmentCall:
    """Commit bytes."""

    netuid: NetUid
    data: bytes


@dataclass(frozen=True, slots=True)
class TimelockedCommitmentCall:
    """Commit a timelocked text, which the chain reveals after `blocks_until_reveal` blocks."""

    netuid: NetUid
    text: str
    blocks_until_reveal: int


@dataclass(frozen=True, slots=True)
class CertificateCall:
    """Publish the public key of a certificate; the announced axon stays unchanged."""

    netuid: NetUid
    algorithm: int
    public_key: bytes


WriteCall = WeightsCall | CommitmentCall | TimelockedCommitmentCall | CertificateCall


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A signed extrinsic that is not submitted yet.

    Attributes:
        record: data to store before the submission.
        data: the encoded extrinsic.
        signed_at_block: best block at the time of signing; only later blocks can include it.
        genesis: genesis hash of the chain that the signature is valid for.
        reveal_round: drand round that reveals timelocked content; None for plain content.
    """

    record: ExtrinsicRecord
    data: bytes
    signed_at_block: BlockNumber
    genesis: str
    reveal_round: int | None = None


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The inclusion of an extrinsic in a block.

    Attributes:
        block: number of the block.
        refusal: why the call failed; None if it succeeded.
    """

    block: BlockNumber
    refusal: Refusal | None = None


class RevealStatus(Enum):
    """The state of a timelocked commitment that was included in a block."""

    PENDING = auto()
    REVEALED = auto()
    FAILED = auto()
    """The chain could not decrypt it, and marked or deleted it."""
    REPLACED = auto()
    """A later commitment of the hotkey replaced it before the reveal."""


class ChainWrites(Protocol):
    """Writes to the chain, and reads of their outcomes.

    Every method has a timeout. If not documented otherwise, a method raises `FailureError` and no
    other exception: CHAIN_UNAVAILABLE if no node responds, CHAIN_TIMEOUT after the timeout.
    """

    async def tip(self) -> ChainTip:
        """Return the numbers of the best and the finalized head."""
        ...

    async def block_time_s(self) -> float:
        """Return the block time of the chain in seconds."""
        ...

    async def genesis(self) -> str:
        """Return the hash of the chain's first block, which identifies the chain."""
        ...

    async def block_timestamp_ms(self, block: BlockNumber) -> int:
        """Return the timestamp of a block, in milliseconds since the Unix epoch."""
        ...

    async def weights_state(
        self,
        netuid: NetUid,
        mechanism: MechanismId,
        hotkey: Hotkey,
        weighted_hotkeys: Sequence[Hotkey],
    ) -> WeightsState:
        """Return the chain state that setting weights depends on, at the best block.

        Args:
            netuid: the subnet.
            mechanism: the mechanism of the subnet.
            hotkey: the hotkey that sets the weights.
            weighted_hotkeys: the hotkeys whose uids are needed.

        Raises:
            RefusedError: the subnet does not exist.
        """
        ...

    async def epoch(self, netuid: NetUid, block: BlockNumber | None = None) -> Epoch:
        """Return the epoch of a subnet at a block, or at the best block if `block` is later."""
        ...

    async def unsupported_writes(self, netuid: NetUid) -> Mapping[str, str]:
        """Return the unsupported kinds of writes, each with an error that names what is missing."""
        ...

    async def is_registered(self, netuid: NetUid, hotkey: Hotkey) -> bool:
        """Return whether a hotkey is registered on a subnet, at the best block."""
        ...

    async def next_certificate_block(self, netuid: NetUid, hotkey: Hotkey) -> BlockNumber:
        """Return the first block in which the chain accepts another certificate of a hotkey."""
        ...

    async def sign(self, call: WriteCall, signer: Signer) -> SignedCall:
        """Return a call as a signed extrinsic with the account's next nonce; nothing is sent.

        Raises:
            RefusedError: the SDK detects before signing that the chain would refuse the call.
        """
        ...

    async def submit(self, signed: SignedCall) -> None:
        """Submit an extrinsic; on return the node has accepted it into its pool.

        Raises:
            RefusedError: the node did not accept it.
            FailureError: it is unknown whether the node accepted it.
        """
        ...

    async def find_extrinsic(
        self, record: ExtrinsicRecord, first: BlockNumber, last: BlockNumber
    ) -> Inclusion | None:
        """Return the inclusion of an extrinsic in the blocks `first` to `last`, inclusive."""
        ...

    async def reveal_status(
        self, netuid: NetUid, hotkey: Hotkey, commitment_block: BlockNumber
    ) -> RevealStatus:
        """Return the reveal status of a timelocked commitment, at the finalized head.

        Args:
            netuid: the subnet.
            hotkey: the hotkey that committed.
            commitment_block: number of the block that includes the commitment.
        """
        ...

    async def is_on_chain(
        self,
        kind: JobKind,
        netuid: NetUid,
        mechanism: MechanismId | None,
        hotkey: Hotkey,
        block: BlockNumber,
    ) -> bool:
        """Return whether the state after a block shows a write of this kind in that block."""
        ...
