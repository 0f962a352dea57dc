"""Encodes the neurons of a subnet at successive blocks, and only those that have changed.

From block to block a few neurons change, and decoding and encoding all of them is most of the work
of a block.
"""

import contextlib
import logging
from operator import attrgetter
from typing import Final

from pylon.chain.answer_types import FieldsCodec, RecordCodec
from pylon.chain.bounds import U16_MAX
from pylon.chain.neuron_encoding import (
    EncodedNeuron,
    NeuronStakes,
    RuntimeRecord,
    encode_neuron,
    stakes_by_hotkey,
)
from pylon.chain.runtime_answers import RuntimeAnswer, encode_records, split_list
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, Skipped
from pylon_client.contract.types import NetUid

logger = logging.getLogger(__name__)

MAX_REMEMBERED_SUBNETS: Final = 160
"""Number of subnets that a connection remembers: each 0.3 MB with 256 neurons."""

_READ_ERRORS: Final = (LookupError, ValueError, OverflowError)

_ENCODE_ERRORS: Final = (*_READ_ERRORS, TypeError)
"""Errors of the codec for values that it has decoded otherwise; such values are not remembered."""
_ACCOUNTS: Final = ["netuid", "hotkeys", "coldkeys"]
"""The first fields of the state of a subnet, which seldom change."""

_Unencoded = tuple[bytes, RuntimeRecord]


class ChangedNeurons:
    """Encodes the neurons of one subnet, and remembers them for its next block.

    Args:
        netuid: the subnet.

    Attributes:
        encoded_count: number of neurons that were encoded.
    """

    def __init__(self, netuid: NetUid) -> None:
        self.encoded_count = 0
        self._netuid = netuid
        self._codec: object = None
        self._known: list[EncodedNeuron] = []
        self._stakes: dict[str, NeuronStakes] = {}
        self._stakes_digest = b""
        self._accounts = b""
        self._hotkeys: list[str] = []

    def encode(self, block: Block, lite: RuntimeAnswer, state: RuntimeAnswer) -> bytes:
        """Return the fields of `SubnetNeurons` after its block, as JSON up to the end of the body.

        Neurons are in the order of their uids. A record that cannot be decoded is logged and listed
        as skipped. Then no neuron is remembered, so that it is counted at the next block again.

        Args:
            block: the block of both answers, for the log only.
            lite: the answer of `NeuronInfoRuntimeApi.get_neurons_lite`.
            state: the answer of `SubnetInfoRuntimeApi.get_subnet_state`; only its stakes are used.

        Raises:
            FailureError: NOT_FOUND if the subnet does not exist.
            ImplausibleError: the stakes cannot be decoded.
        """
        if lite.codec is not self._codec:
            self._codec, self._known, self._accounts = lite.codec, [], b""
            self._stakes_digest = b""
        self._update_stakes(state)
        neurons: list[EncodedNeuron] = []
        skipped: list[tuple[int, Skipped]] = []
        for found in self._changed(lite) or _all(lite):
            if isinstance(found, EncodedNeuron):
                neurons.append(found)
                continue
            try:
                neurons.append(encode_neuron(*found, self._stakes))
                self.encoded_count += 1
            except _READ_ERRORS as error:
                skipped.append(_skip(block, found[1], error))
        is_complete = not skipped and all(neuron.data for neuron in neurons)
        self._known = neurons if is_complete else []
        by_hotkey = {
            neuron.hotkey: neuron.json for neuron in sorted(neurons, key=attrgetter("uid"))
        }
        return b'"skipped":%b,"neurons":{%b}}' % (
            json_codec.encode([one for _, one in sorted(skipped, key=lambda row: row[0])]),
            b",".join(by_hotkey.values()),
        )

    def _update_stakes(self, answer: RuntimeAnswer) -> None:
        if answer.digest == self._stakes_digest:
            return
        state = self._with_known_accounts(answer) or answer.decode()
        if not state or state.get("hotkeys") == []:
            raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {self._netuid} not found.")
        self._stakes = stakes_by_hotkey(state)
        self._stakes_digest = answer.digest
        self._hotkeys = state["hotkeys"]

    def _with_known_accounts(self, answer: RuntimeAnswer) -> RuntimeRecord | None:
        """Decode the state of the subnet, but not its accounts, if they have not changed.

        The accounts are two thirds of the time of decoding.
        """
        codec = answer.parts
        if not isinstance(codec, FieldsCodec) or [*codec.types][: len(_ACCOUNTS)] != _ACCOUNTS:
            return None
        if self._accounts and answer.data.startswith(self._accounts):
            with contextlib.suppress(ValueError):
                rest = codec.decode_rest(len(_ACCOUNTS), answer.data[len(self._accounts) :])
                return {"hotkeys": self._hotkeys, **rest}
        state: RuntimeRecord | None = answer.decode()
        with contextlib.suppress(*_ENCODE_ERRORS):
            self._accounts = b"" if state is None else codec.encode_first(len(_ACCOUNTS), state)
        return state

    def _changed(self, lite: RuntimeAnswer) -> list[EncodedNeuron | _Unencoded] | None:
        """Return the known neurons that have not changed, and the records of the others.

        Returns:
            All neurons in the order of the answer; None if they cannot be told apart.
        """
        codec = lite.parts
        if not isinstance(codec, RecordCodec) or not self._known:
            return None
        with contextlib.suppress(ValueError):
            parts = split_list(lite.data, [neuron.data for neuron in self._known])
            if parts is not None:
                return [
                    known
                    if data is known.data and self._stakes.get(known.hotkey) == known.stakes
                    else (data, codec.decode(data))
                    for data, known in zip(parts, self._known, strict=True)
                ]
        return None


def _all(lite: RuntimeAnswer) -> list[_Unencoded]:
    """Return all records of an answer, with their bytes if these can be told apart."""
    records: list[RuntimeRecord] = lite.decode()
    data = None
    if isinstance(lite.parts, RecordCodec):
        with contextlib.suppress(*_ENCODE_ERRORS):
            data = encode_records(lite.data, records, lite.parts)
    return list(zip(data or [b""] * len(records), records, strict=True))


def _skip(block: Block, record: RuntimeRecord, error: Exception) -> tuple[int, Skipped]:
    """Report a record that cannot be decoded; return its place and its text."""
    uid = record.get("uid")
    UNREADABLE.report(
        logger,
        "neuron",
        # Values that change at each block are left out.
        [record.get(name) for name in ("netuid", "uid", "hotkey")] + [repr(error)],
        "Skipped the neuron with uid %s of block %d: its record cannot be decoded: %r",
        *(uid, block.number, error),
    )
    item = str(record.get("hotkey", f"uid {uid}"))
    skipped = Skipped(item=item, reason="The chain's record cannot be read.")
    return (uid if isinstance(uid, int) else U16_MAX + 1), skipped
