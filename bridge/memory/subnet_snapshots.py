"""The neurons of subnets at the last blocks, within a limit of bytes."""

from collections import OrderedDict
from typing import Final

from bridge.memory.memory_reply import MemoryReply
from pylon.common.validator_projection import project_validators
from pylon_client.contract import json_codec
from pylon_client.contract.types import BlockNumber, NetUid

MAX_SNAPSHOT_BYTES: Final = 64 * 2**20
"""Maximum size of all snapshots and their validators, in bytes.

The newest snapshot of each subnet is stored even beyond it: 128 subnets of 256 neurons have 18 MB.
"""

_Key = tuple[NetUid, BlockNumber]


class SubnetSnapshots:
    """Replies of the neurons and the validators of each subnet, the oldest of which are dropped.

    Args:
        max_bytes: maximum size of all replies together.

    Attributes:
        size_bytes: size of all replies.
    """

    def __init__(self, max_bytes: int = MAX_SNAPSHOT_BYTES) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._neurons: OrderedDict[_Key, MemoryReply] = OrderedDict()
        self._validators: dict[_Key, MemoryReply] = {}
        self._newest: dict[NetUid, MemoryReply] = {}

    def newest(self, netuid: NetUid) -> MemoryReply | None:
        """Return the newest neurons of a subnet."""
        return self._newest.get(netuid)

    def at(self, netuid: NetUid, number: BlockNumber) -> MemoryReply | None:
        """Return the neurons of a subnet at a block."""
        return self._neurons.get((netuid, number))

    def validators(self, netuid: NetUid, neurons: MemoryReply) -> MemoryReply:
        """Return the validators among stored neurons; they are projected at the first call."""
        key = (netuid, neurons.block.number)
        found = self._validators.get(key)
        if found is None:
            projected = project_validators(json_codec.decode(neurons.body))
            found = MemoryReply(neurons.block, json_codec.encode(projected))
            self._validators[key] = found
            self.size_bytes += len(found.body)
            self._drop_oldest()
        return found

    def put(self, netuid: NetUid, neurons: MemoryReply) -> None:
        """Store the neurons of a subnet at a block, in place of others at the same block."""
        key = (netuid, neurons.block.number)
        self._drop(key)
        self._neurons[key] = neurons
        self.size_bytes += len(neurons.body)
        newest = self._newest.get(netuid)
        if newest is None or newest.block.number <= neurons.block.number:
            self._newest[netuid] = neurons
        self._drop_oldest()

    def drop_before(self, number: BlockNumber) -> None:
        """Drop the snapshots of all blocks before this one."""
        for key in [key for key in self._neurons if key[1] < number]:
            self._drop(key)

    def clear(self) -> None:
        """Drop all snapshots."""
        self._neurons.clear()
        self._validators.clear()
        self._newest.clear()
        self.size_bytes = 0

    def _drop_oldest(self) -> None:
        if self.size_bytes <= self._max_bytes:
            return
        for key, neurons in list(self._neurons.items()):
            if self._newest[key[0]] is not neurons:
                self._drop(key)
                if self.size_bytes <= self._max_bytes:
                    return

    def _drop(self, key: _Key) -> None:
        neurons = self._neurons.pop(key, None)
        if neurons is None:
            return
        self.size_bytes -= len(neurons.body)
        if self._newest.get(key[0]) is neurons:
            del self._newest[key[0]]
        validators = self._validators.pop(key, None)
        if validators is not None:
            self.size_bytes -= len(validators.body)
