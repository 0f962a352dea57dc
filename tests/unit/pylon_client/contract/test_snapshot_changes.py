"""Changes applied to the older snapshot are the newer one, byte for byte."""

from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon_client.contract import json_codec
from pylon_client.contract.models import (
    AxonInfo,
    AxonProtocol,
    Neuron,
    NeuronChanges,
    Skipped,
    Stakes,
    SubnetNeurons,
)
from pylon_client.contract.snapshot_changes import apply_changes, neuron_changes
from pylon_client.contract.types import (
    AlphaStake,
    NeuronUid,
    Port,
    TaoStake,
    TotalStake,
)
from pylon_client.samples import sample_block, sample_neuron

NEURONS = [sample_neuron(uid) for uid in range(12)]
amounts = st.sampled_from([0.0, 1.0, 0.1, 1e-9, 21_000_000.000_000_001])
fields = st.fixed_dictionaries(
    {},
    optional={
        "active": st.booleans(),
        "rank": amounts,
        "last_update": st.integers(0, 2**32 - 1),
        "axon_info": st.builds(
            AxonInfo,
            ip=st.sampled_from([IPv4Address(0), IPv4Address("192.0.2.7"), IPv6Address("::7")]),
            port=st.integers(0, 65_535).map(Port),
            protocol=st.integers(0, 255).map(AxonProtocol),
        ),
        "stakes": st.builds(
            Stakes,
            alpha=amounts.map(AlphaStake),
            tao=amounts.map(TaoStake),
            total=amounts.map(TotalStake),
        ),
    },
)
neurons = st.builds(
    lambda neuron, update: neuron.model_copy(update=update), st.sampled_from(NEURONS), fields
)
numbers = st.integers(0, 2**32 - 1)
texts = st.text(alphabet='a"\\é\n', max_size=5)
skipped_items = st.lists(st.builds(Skipped, item=texts, reason=texts), max_size=2)


@st.composite
def snapshots(draw: st.DrawFn, known: SubnetNeurons | None = None) -> SubnetNeurons:
    """Draw a snapshot in the order of uids; some of its neurons are those of a known snapshot."""
    kept = [] if known is None else list(known.neurons.values())
    drawn = draw(st.lists(neurons | st.sampled_from(kept) if kept else neurons, max_size=9))
    by_hotkey = {neuron.hotkey: neuron for neuron in drawn}
    uids = draw(st.lists(st.integers(0, 11), min_size=9, max_size=9, unique=True))
    found: dict[NeuronUid, Neuron] = {}
    for neuron, new_uid in zip(by_hotkey.values(), uids, strict=False):
        uid = neuron.uid if neuron in kept and neuron.uid not in found else NeuronUid(new_uid)
        found.setdefault(uid, neuron.model_copy(update={"uid": uid}))
    return SubnetNeurons(
        block=sample_block(draw(numbers)),
        skipped=draw(skipped_items),
        neurons={neuron.hotkey: neuron for _, neuron in sorted(found.items())},
    )


pairs = snapshots().flatmap(lambda older: st.tuples(st.just(older), snapshots(older)))


def neurons_of(*values: Neuron, number: int = 7) -> SubnetNeurons:
    return SubnetNeurons(
        block=sample_block(number), neurons={neuron.hotkey: neuron for neuron in values}
    )


def changes_between(older: SubnetNeurons, newer: SubnetNeurons) -> NeuronChanges:
    body = neuron_changes(json_codec.encode(older), json_codec.encode(newer))
    assert apply_changes(json_codec.encode(older), body) == json_codec.encode(newer)
    return NeuronChanges.model_validate_json(body)


@given(pairs)
def test_applied_changes_are_the_newer_snapshot(pair: tuple[SubnetNeurons, SubnetNeurons]) -> None:
    older, newer = pair
    changes = changes_between(older, newer)
    assert changes.apply_to(older) == newer
    left, arrived = older.neurons.keys() - newer.neurons, newer.neurons.keys() - older.neurons
    replaced = {one.old_hotkey: one.neuron.hotkey for one in changes.replaced}
    assert left == {*changes.deregistered, *replaced}
    assert arrived == {*(neuron.hotkey for neuron in changes.registered), *replaced.values()}
    assert changes.changed.keys() == {
        hotkey
        for hotkey, neuron in newer.neurons.items()
        if hotkey in older.neurons and neuron != older.neurons[hotkey]
    }


@given(snapshots())
def test_equal_neurons_have_no_changes(snapshot: SubnetNeurons) -> None:
    later = snapshot.model_copy(update={"block": sample_block(9)})
    changes = changes_between(snapshot, later)
    assert (changes.from_block, changes.block) == (snapshot.block, later.block)
    assert not any((changes.registered, changes.replaced, changes.deregistered, changes.changed))


@settings(max_examples=25)
@given(st.lists(snapshots(), min_size=2, max_size=4))
def test_changes_of_several_blocks_are_applied_one_after_the_other(
    published: list[SubnetNeurons],
) -> None:
    bodies = [json_codec.encode(snapshot) for snapshot in published]
    known = bodies[0]
    for older, newer in pairwise(bodies):
        known = apply_changes(known, neuron_changes(older, newer))
    assert known == bodies[-1]


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"rank": 0.25}, {"rank": 0.25}),
        ({"active": False, "uid": 9}, {"active": False, "uid": 9}),
        (
            {"stakes": Stakes(alpha=AlphaStake(1), tao=TaoStake(0), total=TotalStake(1))},
            {"stakes": {"alpha": 1.0, "tao": 0.0, "total": 1.0}},
        ),
        (
            {"axon_info": AxonInfo(ip=IPv4Address(1), port=Port(1), protocol=AxonProtocol.TCP)},
            {"axon_info": {"ip": "0.0.0.1", "port": 1, "protocol": 0}},
        ),
    ],
)
def test_only_changed_fields_are_listed(fields: dict[str, Any], changed: dict[str, Any]) -> None:
    older = neurons_of(sample_neuron(1), sample_neuron(2))
    newer = neurons_of(sample_neuron(1), sample_neuron(2).model_copy(update=fields), number=8)
    assert changes_between(older, newer).changed == {sample_neuron(2).hotkey: changed}


def test_a_neuron_on_the_uid_of_one_that_left_has_replaced_it() -> None:
    other = sample_neuron(5).model_copy(update={"uid": NeuronUid(1)})
    older = neurons_of(sample_neuron(1), sample_neuron(2), sample_neuron(3))
    newer = neurons_of(sample_neuron(0), other, sample_neuron(3), number=8)
    changes = changes_between(older, newer)
    (replaced,) = changes.replaced
    assert (replaced.uid, replaced.old_hotkey) == (1, sample_neuron(1).hotkey)
    assert replaced.neuron == other
    assert changes.registered == [sample_neuron(0)]
    assert changes.deregistered == [sample_neuron(2).hotkey]
    assert not changes.changed


def test_fields_that_a_newer_version_has_added_are_in_their_place() -> None:
    def snapshot(number: int, **added: object) -> bytes:
        first, *rest = sample_neuron(1).model_dump(mode="json").items()
        neuron = dict([first, *added.items(), *rest])
        return json_codec.encode(
            {"block": sample_block(number), "skipped": [], "neurons": {"5C": neuron}}
        )

    older, newer = snapshot(1), snapshot(2, added=1)
    assert apply_changes(older, neuron_changes(older, newer)) == newer


@pytest.mark.parametrize("other", [6, 8])
def test_changes_of_another_block_are_not_applied(other: int) -> None:
    older, newer = neurons_of(sample_neuron(1)), neurons_of(number=8)
    changes = changes_between(older, newer)
    with pytest.raises(ValueError, match="the changes start at the block"):
        changes.apply_to(older.model_copy(update={"block": sample_block(other)}))


def test_changes_of_an_unknown_neuron_are_not_applied() -> None:
    changes = changes_between(neurons_of(sample_neuron(1)), neurons_of(number=8))
    with pytest.raises(ValueError, match="unknown"):
        changes.apply_to(neurons_of(sample_neuron(2)))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"block":1,"skipped":[],"neurons":[]}'])
def test_anything_else_is_rejected(body: bytes) -> None:
    valid = json_codec.encode(neurons_of(sample_neuron(1)))
    for older, newer in ((valid, body), (body, valid)):
        with pytest.raises(msgspec.DecodeError):
            neuron_changes(older, newer)
        with pytest.raises(msgspec.DecodeError):
            apply_changes(older, newer)
