"""Reveals of timelocked commitments, as in pallet_commitments.

The chain decrypts them with the drand beacon's signature for their round. The devnet uses the key
of the real beacon, so signatures of future rounds are unknown offline. Two controls replace the
beacon: `store_pulse` stores a signature, with which a commitment is decrypted; `set_plaintext` sets
the plaintext directly. Without either, a commitment stays pending, as on a chain that receives no
pulses. Data that is not a ciphertext fails once its round has passed.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from pylon_devnet.chain_state import Draft, PastState
from pylon_devnet.codec import ciphertext_size, decrypt_timelock, inner_ciphertext, is_ciphertext
from pylon_devnet.commitment_fields import (
    TIMELOCK_ENCRYPTED,
    DataField,
    read_fields,
    write_fields,
)
from pylon_devnet.runtime.scale_encoding import (
    decode_compact,
    encode_bytes,
    encode_str,
    encode_vector,
)

MAX_REVEALS = 10
REVEAL_FAILURES_FROM_SPEC = 446
"""First spec version that stores failed reveals as `TimelockRevealFailed`, and that accepts the
SDK's portable envelope."""

_PALLET = "Commitments"
_HEAD_BYTES = 12  # deposit and block, in front of the fields of a registration
_ROUND_BYTES = 8

PalletEvent = tuple[str, str, object]


class _RevealFailedError(Exception):
    """Timelocked data cannot be decrypted; the reason is a variant of `RevealFailure`."""


@dataclass(slots=True)
class TimelockedCommitments:
    """The timelocked commitments of a chain.

    Attributes:
        spec_version: spec version of the runtime.
    """

    spec_version: int
    _plaintexts: dict[tuple[int, str], bytes] = field(default_factory=dict[tuple[int, str], bytes])

    def set_plaintext(self, state: PastState, netuid: int, hotkey: str, revealed: str) -> None:
        """Reveal a hotkey's timelocked commitment as this text, with the next block.

        Args:
            state: newest state.
            netuid: the subnet.
            hotkey: hotkey of the commitment.
            revealed: the text, without the length prefix that is part of the plaintext.

        Raises:
            ValueError: no timelocked commitment is stored, or it is not as long as this text with
                its length prefix.
        """
        raw = state.get_raw(_PALLET, "CommitmentOf", netuid, hotkey)
        fields = [] if raw is None else read_fields(raw[_HEAD_BYTES:])
        timelocked = [one for one in fields if one.kind == TIMELOCK_ENCRYPTED]
        if not timelocked:
            raise ValueError(f"{hotkey} has no timelocked commitment on subnet {netuid}")
        plaintext = encode_str(revealed)
        expected = ciphertext_size(plaintext)
        for one in timelocked:
            size = len(self._ciphertext(one))
            if is_ciphertext(self._ciphertext(one)) and size != expected:
                raise ValueError(
                    f"the timelocked data is {size} bytes long, but this text with its length "
                    f"prefix is {expected} when timelocked"
                )
        self._plaintexts[netuid, hotkey] = plaintext

    def reveal_due(self, draft: Draft) -> list[PalletEvent]:
        """Reveal the commitments that can be decrypted in the block being built.

        Returns:
            The events, as (pallet, event, payload).
        """
        events: list[PalletEvent] = []
        waiting: list[tuple[int, str]] = []
        index = [(netuid, who) for netuid, who in draft.get(_PALLET, "TimelockedIndex")]
        for netuid, who in index:
            raw = draft.get_raw(_PALLET, "CommitmentOf", netuid, who)
            if raw is not None and self._reveal(draft, netuid, who, raw, events):
                waiting.append((netuid, who))
        self._plaintexts.clear()
        if waiting != index:
            draft.put(_PALLET, "TimelockedIndex", waiting)
        return events

    def _reveal(
        self, draft: Draft, netuid: int, who: str, raw: bytes, events: list[PalletEvent]
    ) -> bool:
        """Reveal one commitment; return whether part of it is still timelocked."""
        fields = read_fields(raw[_HEAD_BYTES:])
        remaining: list[DataField] = []
        revealed: list[bytes] = []
        whose = {"netuid": netuid, "who": who}
        for one in fields:
            try:
                opened = self._decrypt(draft, one, self._plaintexts.get((netuid, who)))
            except _RevealFailedError as error:
                if self._stores_failures:
                    remaining.append(one.failed())
                    payload = {"reveal_round": one.reveal_round, "error": str(error)}
                    events.append((_PALLET, "CommitmentRevealFailed", {**whose, **payload}))
                continue
            if opened is None:
                remaining.append(one)
            else:
                revealed.append(opened)
                events.append((_PALLET, "CommitmentRevealed", whose))
        if revealed:
            _append_reveals(draft, netuid, who, revealed)
        if not remaining:
            draft.delete(_PALLET, "CommitmentOf", netuid, who)
        elif remaining != fields:
            head = raw[:_HEAD_BYTES]
            draft.put_raw(_PALLET, "CommitmentOf", (netuid, who), head + write_fields(remaining))
        return any(one.kind == TIMELOCK_ENCRYPTED for one in remaining)

    def _decrypt(self, draft: Draft, field: DataField, plaintext: bytes | None) -> bytes | None:
        """Return the plaintext of a field, or None if it is not timelocked or still pending.

        Raises:
            _RevealFailedError: it can never be decrypted.
        """
        if field.kind != TIMELOCK_ENCRYPTED:
            return None
        ciphertext = self._ciphertext(field)
        signature = _signature(draft, field.reveal_round)
        if signature is None and plaintext is None:
            oldest = draft.get("Drand", "OldestStoredRound")
            if self._stores_failures and field.reveal_round < oldest:
                raise _RevealFailedError("PulseExpired")
            if field.reveal_round > draft.get("Drand", "LastStoredRound"):
                return None
        if not is_ciphertext(ciphertext):
            raise _RevealFailedError("CiphertextDeserialize")
        if signature is None:
            return plaintext
        try:
            opened = decrypt_timelock(ciphertext, field.reveal_round, signature)
        except ValueError:
            raise _RevealFailedError("Decrypt") from None
        if not opened:
            raise _RevealFailedError("EmptyPlaintext")
        return opened

    def _ciphertext(self, field: DataField) -> bytes:
        """Return the ciphertext in a field, without the portable envelope if that is supported."""
        if self._stores_failures and not is_ciphertext(field.data):
            return inner_ciphertext(field.data) or field.data
        return field.data

    @property
    def _stores_failures(self) -> bool:
        return self.spec_version >= REVEAL_FAILURES_FROM_SPEC


def store_pulse(draft: Draft, drand_round: int, signature: bytes) -> None:
    """Store the beacon's signature for a round."""
    randomness = sha256(signature).digest()
    raw = (
        drand_round.to_bytes(_ROUND_BYTES, "little")
        + encode_bytes(randomness)
        + encode_bytes(signature)
    )
    draft.put_raw("Drand", "Pulses", (drand_round,), raw)


def _signature(draft: Draft, drand_round: int) -> bytes | None:
    """Return the stored signature of a round."""
    raw = draft.get_raw("Drand", "Pulses", drand_round)
    if raw is None:
        return None
    size, offset = decode_compact(raw, _ROUND_BYTES)
    size, offset = decode_compact(raw, offset + size)
    return raw[offset : offset + size]


def _append_reveals(draft: Draft, netuid: int, who: str, revealed: list[bytes]) -> None:
    """Append to the newest reveals of a hotkey, which the chain stores with their block."""
    raw = draft.get_raw(_PALLET, "RevealedCommitments", netuid, who) or b"\x00"
    count, offset = decode_compact(raw, 0)
    reveals: list[bytes] = []
    for _ in range(count):
        size, begin = decode_compact(raw, offset)
        end = begin + size + 8
        reveals.append(raw[offset:end])
        offset = end
    block = draft.number.to_bytes(8, "little")
    reveals += [encode_bytes(one) + block for one in revealed]
    encoded = encode_vector(reveals[-MAX_REVEALS:])
    draft.put_raw(_PALLET, "RevealedCommitments", (netuid, who), encoded)
