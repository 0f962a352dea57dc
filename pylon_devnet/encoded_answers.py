"""SCALE bytes of the two largest answers, encoded again only where they changed.

A vector is encoded as its length and its items, a struct as its fields. Only a few neurons and
columns of a subnet change with a block.
"""

from typing import Any

from pylon_devnet.apis.neuron_apis import neuron_lite, neuron_rows
from pylon_devnet.apis.subnet_apis import subnet_state
from pylon_devnet.chain_state import StateReader
from pylon_devnet.codec import Codec
from pylon_devnet.runtime.declaration import Declaration
from pylon_devnet.runtime.scale_encoding import encode_option, encode_vector


class EncodedAnswers:
    """Encodes the neurons of subnets.

    Args:
        codec: codec of the runtime.
        declaration: declaration of the runtime.
    """

    def __init__(self, codec: Codec, declaration: Declaration) -> None:
        self._codec = codec
        self._fields = declaration.types["SubnetState"].fields
        self._columns: dict[tuple[int, str | None], tuple[Any, bytes]] = {}

    def neurons_lite(self, state: StateReader, netuid: int) -> bytes:
        """Return the result of `NeuronInfoRuntimeApi_get_neurons_lite`."""
        rows = neuron_rows(state, netuid)
        return encode_vector(state.for_each_uid(self._neuron, netuid, rows))

    def subnet_state(self, state: StateReader, netuid: int) -> bytes:
        """Return the result of `SubnetInfoRuntimeApi_get_subnet_state`."""
        answer = subnet_state(state, netuid)
        if answer is None:
            return encode_option(None)
        columns = (
            self._column(netuid, field.name, field.type, answer[field.name or ""])
            for field in self._fields
        )
        return encode_option(b"".join(columns))

    def _neuron(self, state: StateReader, netuid: int, uid: int, row: tuple[Any, ...]) -> bytes:
        return self._codec.encode("NeuronInfoLite", neuron_lite(state, netuid, uid, row))

    def _column(self, netuid: int, name: str | None, type_: str, column: Any) -> bytes:
        before, encoded = self._columns.get((netuid, name), (None, b""))
        if before != column:
            encoded = self._codec.encode(type_, column)
            self._columns[netuid, name] = column, encoded
        return encoded
