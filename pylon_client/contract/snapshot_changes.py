"""Changes between two encoded neuron snapshots of a subnet, computed on the JSON bytes.

Only neurons whose bytes differ are decoded, and values are copied as they are encoded. Applying the
changes to the older snapshot therefore returns exactly the bytes of the newer one.

A neuron is identified by its hotkey. If a hotkey has left and another one has its uid, the neuron
is replaced. A neuron that is in both snapshots with another uid has changed. Snapshots contain the
neurons in the order of their uids.
"""

import msgspec


class EncodedSnapshot(msgspec.Struct):
    """`SubnetNeurons`, with its parts encoded: they refer to the bytes from which it was decoded.

    Attributes:
        block: the block.
        skipped: the skipped records.
        neurons: the neurons by hotkey.
    """

    block: msgspec.Raw
    skipped: msgspec.Raw
    neurons: dict[str, msgspec.Raw]

    @classmethod
    def decode(cls, body: bytes) -> "EncodedSnapshot":
        """Return a snapshot from its JSON.

        Raises:
            ValueError: the snapshot is not valid.
        """
        return _SNAPSHOT.decode(body)


class _EncodedReplacement(msgspec.Struct):
    """`ReplacedNeuron`, with the neuron encoded."""

    uid: int
    old_hotkey: str
    neuron: msgspec.Raw


class _EncodedChanges(msgspec.Struct):
    """`NeuronChanges`, with its values encoded."""

    block: msgspec.Raw
    skipped: msgspec.Raw
    from_block: msgspec.Raw
    registered: list[msgspec.Raw]
    replaced: list[_EncodedReplacement]
    deregistered: list[str]
    changed: dict[str, dict[str, msgspec.Raw]]


class _NeuronKey(msgspec.Struct):
    """The fields of a neuron by which it is found."""

    uid: int
    hotkey: str


_ENCODER = msgspec.json.Encoder()
_SNAPSHOT = msgspec.json.Decoder(EncodedSnapshot)
_CHANGES = msgspec.json.Decoder(_EncodedChanges)
_BY_NAME = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = msgspec.json.Decoder(_NeuronKey)


def neuron_changes(older: bytes, newer: bytes) -> bytes:
    """Return the encoded `NeuronChanges` from one snapshot to another.

    Args:
        older: encoded `SubnetNeurons`.
        newer: encoded `SubnetNeurons` of the same subnet.

    Raises:
        ValueError: a snapshot is not valid.
    """
    return changes_between(EncodedSnapshot.decode(older), EncodedSnapshot.decode(newer))


def changes_between(older: EncodedSnapshot, newer: EncodedSnapshot) -> bytes:
    """Return the encoded `NeuronChanges` from one snapshot to another of the same subnet."""
    changes = _EncodedChanges(newer.block, newer.skipped, older.block, [], [], [], {})
    _compare(older.neurons, newer.neurons, changes)
    return _ENCODER.encode(changes)


def apply_changes(older: bytes, changes: bytes) -> bytes:
    """Return the newer snapshot, encoded.

    Args:
        older: encoded `SubnetNeurons`.
        changes: encoded `NeuronChanges` from that snapshot.

    Raises:
        ValueError: the changes do not start at the snapshot's block, or either is not valid.
    """
    before, delta = EncodedSnapshot.decode(older), _CHANGES.decode(changes)
    if before.block != delta.from_block:
        raise ValueError(
            f"the changes start at the block {_text(delta.from_block)}, "
            f"but the neurons are those of {_text(before.block)}"
        )
    neurons = before.neurons
    try:
        for hotkey in (*delta.deregistered, *(one.old_hotkey for one in delta.replaced)):
            del neurons[hotkey]
        for hotkey, fields in delta.changed.items():
            neurons[hotkey] = _with_fields(neurons[hotkey], fields)
    except KeyError as error:
        raise ValueError(f"the changes name a neuron that is unknown: {error}") from None
    for neuron in (*delta.registered, *(one.neuron for one in delta.replaced)):
        neurons[_KEY.decode(neuron).hotkey] = neuron
    by_uid = sorted(neurons.items(), key=lambda item: _KEY.decode(item[1]).uid)
    return _ENCODER.encode(EncodedSnapshot(delta.block, delta.skipped, dict(by_uid)))


def _compare(
    before: dict[str, msgspec.Raw], after: dict[str, msgspec.Raw], changes: _EncodedChanges
) -> None:
    left = {
        _KEY.decode(neuron).uid: hotkey for hotkey, neuron in before.items() if hotkey not in after
    }
    for hotkey, neuron in after.items():
        known = before.get(hotkey)
        if known is None:
            uid = _KEY.decode(neuron).uid
            old_hotkey = left.pop(uid, None)
            if old_hotkey is None:
                changes.registered.append(neuron)
            else:
                changes.replaced.append(_EncodedReplacement(uid, old_hotkey, neuron))
        elif known != neuron:
            changes.changed[hotkey] = _changed_fields(known, neuron)
    changes.deregistered.extend(left.values())


def _changed_fields(known: msgspec.Raw, neuron: msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the fields that differ; all of them if a newer version of Pylon has added fields."""
    old, new = _BY_NAME.decode(known), _BY_NAME.decode(neuron)
    if old.keys() != new.keys():
        return new
    return {name: value for name, value in new.items() if value != old[name]}


def _with_fields(known: msgspec.Raw, fields: dict[str, msgspec.Raw]) -> msgspec.Raw:
    old = _BY_NAME.decode(known)
    # Added fields are not always the last ones, so a complete list of fields has the right order.
    return msgspec.Raw(_ENCODER.encode(fields if fields.keys() >= old.keys() else old | fields))


def _text(block: msgspec.Raw) -> str:
    return bytes(block).decode(errors="replace")
