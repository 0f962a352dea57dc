"""What the service asks of the chain in order to write to it, in Pylon's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
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
    """What to do after the chain has refused a write."""

    RETRY = "again"
    """Sign it anew, on a fresh connection: nonce, era or the pool stood in the way."""
    RATE_LIMITED = "wait"
    """The same write will be taken later: a limit on how often, or how much, one may write."""
    NOT_ELIGIBLE = "not yet"
    """The hotkey may not write that now, and may be allowed to later: it is not registered, or has
    no permit or too little stake."""
    FATAL = "never"
    """It will not be taken as it is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the chain did not take a write, and what to do about it."""

    code: ErrorCode
    kind: RefusalKind
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
class ChainTip:
    """How far the chain is: its newest block, and its newest that can not be retracted."""

    best: BlockNumber
    finalized: BlockNumber


@dataclass(frozen=True, slots=True)
class Epoch:
    """Where a subnet is in its epochs, at one block.

    Attributes:
        block: at which this was read.
        tempo: blocks from one epoch to the next; 0 where the subnet has none.
        start_block: the block that began the current epoch.
        next_start_block: the block that will begin the next one, sooner if its owner triggers it; None
            where the tempo is 0.
    """

    block: BlockNumber
    tempo: int
    start_block: BlockNumber
    next_start_block: BlockNumber | None


@dataclass(frozen=True, slots=True)
class CommitRevealState:
    """How weights are sealed at one block; every value but the first two is as the chain has it.

    Attributes:
        version: of the commit-reveal protocol.
        block: at which all of this was read.
        tempo: `Tempo`, in blocks.
        reveal_period_epochs: `RevealPeriodEpochs`.
        last_epoch_block: `LastEpochBlock`.
        pending_epoch_at: `PendingEpochAt`; 0 where the owner has triggered no epoch.
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
    """What setting weights depends on, all read at one block.

    Attributes:
        block: at which it was read.
        epoch: of the subnet.
        own_uid: of the hotkey that sets them; None when it is not registered.
        has_permit: whether that neuron has a validator permit.
        owns_subnet: whether the hotkey is the subnet owner's, who needs no permit.
        has_null_consensus: whether the subnet runs the Null consensus, under which nobody does without one.
        uids: of those of the weighed hotkeys that are registered.
        commit_reveal: how weights are sealed; None where the subnet takes them in the open.
        unrevealed_commits: how many of the hotkey's commits of this epoch the chain keeps.
        rate_limit_blocks: how many blocks must lie between two settings.
        last_update_block: when this hotkey last set weights; 0 for never.
        version_key: that the subnet asks weights to carry.
        min_allowed_weights: how many weights above 0 the subnet asks for.
        max_weight_limit: the largest weight's share of all, in 1/65535.
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
    """Set weights, in the open or sealed.

    Attributes:
        weights: by uid, in 1/65535 of the largest.
        commit_reveal: None to set them in the open.
    """

    netuid: NetUid
    mechanism: MechanismId
    weights: Mapping[NeuronUid, int]
    version_key: int
    commit_reveal: CommitRevealState | None = None


@dataclass(frozen=True, slots=True)
class CommitmentCall:
    """Publish bytes."""

    netuid: NetUid
    data: bytes


@dataclass(frozen=True, slots=True)
class TimelockedCommitmentCall:
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


WriteCall = WeightsCall | CommitmentCall | TimelockedCommitmentCall | CertificateCall


@dataclass(frozen=True, slots=True)
class SignedCall:
    """An extrinsic that is signed and not sent.

    Attributes:
        record: what to write down before sending it.
        data: its bytes.
        signed_at_block: the newest block when it was signed; it can only be included in a later one.
        genesis: hash of the first block of the chain that the signature is for.
        reveal_round: the drand round at which sealed content opens.
    """

    record: ExtrinsicRecord
    data: bytes
    signed_at_block: BlockNumber
    genesis: str
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


class RevealStatus(Enum):
    """What became of a sealed commitment that is on the chain."""

    PENDING = "closed"
    REVEALED = "opened"
    FAILED = "broken"
    """The chain could not open it, and keeps it as such or has deleted it."""
    REPLACED = "replaced"
    """A later commitment of the hotkey took its place before it was opened."""


class ChainWrites(Protocol):
    """Writing to the chain, and looking at what was written.

    Every method answers or fails within a deadline of its own. Unless it says otherwise a method
    raises `FailureError` and nothing else: CHAIN_UNAVAILABLE when no node answers, CHAIN_TIMEOUT
    past the deadline.
    """

    async def tip(self) -> ChainTip:
        """The newest block and the newest final block."""
        ...

    async def block_time_s(self) -> float:
        """How long a block takes on this chain, in seconds."""
        ...

    async def genesis(self) -> str:
        """The hash of the chain's first block, by which it is told from every other chain."""
        ...

    async def block_timestamp_ms(self, block: BlockNumber) -> int:
        """When a block was made, in milliseconds since the Unix epoch."""
        ...

    async def weights_state(
        self,
        netuid: NetUid,
        mechanism: MechanismId,
        hotkey: Hotkey,
        weighted_hotkeys: Sequence[Hotkey],
    ) -> WeightsState:
        """What setting weights depends on, at the newest block.

        Raises:
            RefusedError: there is no such subnet.
        """
        ...

    async def epoch(self, netuid: NetUid, block: BlockNumber | None = None) -> Epoch:
        """Where a subnet is in its epochs, at a block, or at the newest where that is older."""
        ...

    async def unsupported_writes(self, netuid: NetUid) -> Mapping[str, str]:
        """The kinds of writes that the chain's runtime cannot take, and why not each."""
        ...

    async def is_registered(self, netuid: NetUid, hotkey: Hotkey) -> bool:
        """Whether a hotkey is registered on a subnet, at the newest block."""
        ...

    async def next_certificate_block(self, netuid: NetUid, hotkey: Hotkey) -> BlockNumber:
        """The first block that takes another certificate of a hotkey."""
        ...

    async def sign(self, call: WriteCall, signer: Signer) -> SignedCall:
        """The call as a signed extrinsic, with the account's next nonce; nothing is sent.

        Raises:
            RefusedError: the SDK sees before signing that the chain would not take it.
        """
        ...

    async def submit(self, signed: SignedCall) -> None:
        """Send an extrinsic; on return the node has taken it into its pool.

        Raises:
            RefusedError: the node did not take it.
            FailureError: it may or may not have taken it.
        """
        ...

    async def find_extrinsic(
        self, record: ExtrinsicRecord, first: BlockNumber, last: BlockNumber
    ) -> Inclusion | None:
        """Where an extrinsic is among the blocks from `first` to `last`, both included."""
        ...

    async def reveal_status(
        self, netuid: NetUid, hotkey: Hotkey, commitment_block: BlockNumber
    ) -> RevealStatus:
        """What became of a sealed commitment, by the newest final block.

        Args:
            netuid: the subnet.
            hotkey: the hotkey that committed.
            commitment_block: the block that holds the commitment.
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
        """Whether the state after a block shows that this hotkey wrote such a thing in it."""
        ...
